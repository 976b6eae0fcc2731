"""Numbers that clients write as text: in cursors, ids and aliases."""

from __future__ import annotations

_MOST_DIGITS = 18
"""What SQLite and every client hold in 64 bits; Python itself refuses to read thousands of digits."""


def whole(text: str) -> int | None:
    """The number, if the text is nothing but one that can be the number of something; else None."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else None
