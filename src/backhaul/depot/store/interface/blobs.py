"""The bytes of files, as the depot asks for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from typing import BinaryIO, Protocol

from backhaul.depot.model import Blob
from backhaul.depot.store.interface.arrivals import Arrivals
from backhaul.depot.store.interface.mailboxes import Mailboxes

SETTLED_AFTER = 3600.0
"""Seconds. A blob that is older and has no name was not left so by somebody who is still about to give it one."""

BROUGHT_AFTER = 8 * 24 * 3600.0
"""Seconds, the same for what clients bring themselves: they have a week until a version has to be committed."""


Accept = Callable[[Blob], None]
Keep = Callable[[Blob], Future[str | None]]


class Blobs(Protocol):
    """The bytes of files, each under a name that the store alone chooses. Several processes may use the same."""

    def belong_to(self, owner: str) -> None:
        """Makes the place that depot's own, of all who ask at once the only one's.

        Raises PlaceRefused when it is another's: the sweep would remove all that has no name in this one.
        """

    def arrivals(self) -> Arrivals | None:
        """What clients bring straight to where these blobs are; None where they cannot."""

    def mailboxes(self) -> Mailboxes | None:
        """Where clients bring files of runs to where these blobs are; None where they cannot."""

    async def receive(self, chunks: AsyncIterator[bytes], accept: Accept, keep: Keep) -> Blob:
        """Takes in a body and has it kept; it leaves nothing behind when it raises, but what the sweep must look at.

        `accept` sees size and MD5 before the blob exists, and refuses it by raising. `keep` gets the blob when it is
        whole and durable, and begins to give its name to something. What comes of that is the name of a blob that is
        needed no longer: the one that was there before, or this one. Both are called in a thread of their own. When
        a database that fails (`Refused`, 503) leaves open whether the blob has got its name, the blob stays.
        """

    def keep(self, data: bytes) -> Blob:
        """Takes in bytes that the depot itself made; they are durable when this returns."""

    def join(self, names: list[str], accept: Callable[[Blob], None]) -> Blob:
        """A new blob of the bytes of several, in their order, durable when this returns. Its parts stay."""

    def open(self, name: str) -> BinaryIO:
        """The blob's bytes, to be read from any place; to their end, even if the blob is removed meanwhile.

        Raises OSError when they cannot be read.
        """

    def read(self, name: str) -> bytes:
        """All bytes of a blob that is known to be small. Raises OSError when they cannot be read."""

    def remove(self, name: str) -> None:
        """Removes a blob that nothing names any more, soon: who knew its name may still open it."""

    def purge(self) -> None:
        """Removes those of the blobs that this process removed whose time has come."""

    def destroy(self, name: str) -> None:
        """Removes a blob now; one that is gone already is fine."""

    def settled_names(self, start: str) -> set[str]:
        """The blobs whose names start with that hexadecimal digit and which came more than `SETTLED_AFTER` ago.

        Of those that clients brought themselves (`Arrivals`), which have a point in their names: `BROUGHT_AFTER`.
        """

    def clear_stalled(self) -> None:
        """Removes what is left of bodies of which nothing came for as long: a crash ended them."""
