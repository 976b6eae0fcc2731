"""Blobs in a local folder.

A body is written under `incoming/`, flushed to the disk, and only then renamed to its place, `ab/abcdef…`; a small one
is written to its place when all of it is there. Names are random: nothing that a client sends becomes part of a path.
Blobs that come in at the same time come to lie in the same folder, so that one flush of it does for all of them.

A blob that is needed no longer stays for a minute (`store.leaving`); who has it open reads it to its end. What a crash
leaves is removed by the sweep (`depot.sweep`).
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from backhaul.depot.model import Blob
from backhaul.depot.refusal import of_disk
from backhaul.depot.store import folders
from backhaul.depot.store.draft import Draft
from backhaul.depot.store.folders import Folder
from backhaul.depot.store.intake import gathered, named_later, pieces
from backhaul.depot.store.interface import SETTLED_AFTER, Accept, Clock, Keep
from backhaul.depot.store.leaving import Leaving
from backhaul.depot.threads import begun_in_thread, in_thread

_NEIGHBOURS = 64  # blobs that go to one folder before the next one's turn


class FolderBlobs:
    """A `Blobs` in one folder."""

    def __init__(self, root: Path, clock: Clock = time.monotonic) -> None:
        self._root = root
        self._incoming = root / "incoming"
        self._folders = [Folder(root / f"{number:02x}") for number in range(256)]
        self._numbers = itertools.count(secrets.randbelow(256) * _NEIGHBOURS)
        self._leaving = Leaving(clock)
        self._make_folders()

    def _make_folders(self) -> None:
        """All of them, durably, before the first blob: so that settling a blob has one folder to make durable."""
        folders.make(self._root)
        places = [self._incoming, *(folder.path for folder in self._folders)]
        missing = [place for place in places if not place.exists()]
        for place in missing:
            place.mkdir(mode=0o700)
        if missing:
            folders.sync(self._root)

    def belong_to(self, owner: str) -> None:
        """See `Blobs`. A folder is the depot's who holds its lock (`Place.lock`)."""

    def arrivals(self) -> None:
        """See `Blobs`. Nobody else can write there."""

    def mailboxes(self) -> None:
        """See `Blobs`. Nobody else can write there."""

    async def receive(self, chunks: AsyncIterator[bytes], accept: Accept, keep: Keep) -> Blob:
        """See `Blobs`. A full disk is refused with 507, one that fails otherwise with 503."""
        with self._draft() as draft:
            rest = await gathered(chunks, lambda some: in_thread(draft.append, some))
            return await begun_in_thread(self._begin_to_keep, draft, rest, accept, keep)

    def _begin_to_keep(self, draft: Draft, rest: list[bytes], accept: Accept, keep: Keep) -> Future[Blob]:
        """The end of a body, in one go: a small one meets one thread in all."""
        return named_later(self._settled(draft, rest, accept), keep, self.destroy, self.remove)

    def keep(self, data: bytes) -> Blob:
        """See `Blobs`. A full disk is refused with 507, one that fails otherwise with 503."""
        with self._draft() as draft:
            return self._settled(draft, [data], lambda _blob: None)

    def join(self, names: list[str], accept: Accept) -> Blob:
        """See `Blobs`. A full disk is refused with 507, one that fails otherwise with 503."""
        with self._draft() as draft:
            for piece in pieces(names, self.open):
                draft.append([piece])
            return self._settled(draft, [], accept)

    @contextmanager
    def _draft(self) -> Iterator[Draft]:
        """A new blob to be; nothing is left of it unless it was settled."""
        home = next(self._numbers) // _NEIGHBOURS % len(self._folders)
        draft = Draft(self._incoming, f"{home:02x}{secrets.token_hex(15)}")
        try:
            yield draft
        except OSError as error:
            raise of_disk(error) from error
        finally:
            draft.drop()

    def _settled(self, draft: Draft, rest: Sequence[bytes], accept: Accept) -> Blob:
        return draft.settle(rest, accept, self._folders[int(draft.name[:2], 16)])

    def open(self, name: str) -> BinaryIO:
        """See `Blobs`."""
        return self._path(name).open("rb", buffering=0)

    def read(self, name: str) -> bytes:
        """See `Blobs`."""
        return self._path(name).read_bytes()

    def remove(self, name: str) -> None:
        """See `Blobs`."""
        self._leaving.add(name)

    def purge(self) -> None:
        """See `Blobs`."""
        for name in self._leaving.due():
            self.destroy(name)

    def destroy(self, name: str) -> None:
        """See `Blobs`."""
        self._path(name).unlink(missing_ok=True)

    def settled_names(self, start: str) -> set[str]:
        """See `Blobs`."""
        return {path.name for folder in self._root.glob(f"{start}?") for path in folder.iterdir() if _is_settled(path)}

    def clear_stalled(self) -> None:
        """See `Blobs`."""
        for leftover in self._incoming.iterdir():
            if _is_settled(leftover):
                leftover.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._root / name[:2] / name


def _is_settled(path: Path) -> bool:
    """By the file's own time, which the same disk gave it that is asked now; not so for one that has gone meanwhile."""
    try:
        return time.time() - path.stat().st_mtime > SETTLED_AFTER
    except FileNotFoundError:
        return False
