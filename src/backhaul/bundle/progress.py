"""How packing and unpacking tell how far they have come."""

from __future__ import annotations

from collections.abc import Callable

# Called with a file's name in the bundle and the bytes of it that went through since the last call.
OnProgress = Callable[[str, int], None]


def tell_nobody(_name: str, _size: int) -> None:
    """For callers who do not want to know."""
