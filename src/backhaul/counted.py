"""Numbers of things in words."""

from __future__ import annotations


def counted(number: int, what: str, several: str | None = None) -> str:
    """`1 run`, `2 runs`; `several` is the plural where that is not made with an s."""
    return f"{number} {what}" if number == 1 else f"{number} {several or what + 's'}"
