"""Places in the store of the blobs that clients write to themselves, as the depot asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from backhaul.depot.model import Blob, Brought


class Mailboxes(Protocol):
    """Objects under names that the depot chose, to which clients may write what they like, again and again.

    What lies there is what was whole last. It is no blob, as it may be replaced at any moment: a copy of it is one.
    """

    def address(self, name: str) -> str:
        """Where anything may be PUT."""

    def found(self, start: str, names: list[str]) -> list[Brought]:
        """What lies in those of the mailboxes, whose names all start so, to which something was written."""

    def copied(self, brought: Brought) -> Blob | None:
        """A new blob with just that; None when something else lies there by now, or nothing."""

    def older(self, start: str, age: float) -> Iterator[str]:
        """The mailboxes whose names start so, and to which nothing was written for so many seconds."""

    def empty(self, name: str) -> None:
        """Removes what lies there."""
