"""Blobs in a local folder.

A body is written under `incoming/`, flushed to the disk, and only then renamed to its place, `ab/abcdef…`. Names are
random: nothing that a client sends becomes part of a path.

A blob that is needed no longer stays for a minute: somebody may have read its name and be about to open it. Who has it
open reads it to its end. What a crash leaves is removed by the sweep (`depot.sweep`).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO

from backhaul.depot.model import Blob
from backhaul.depot.refusal import of_disk
from backhaul.depot.store import folders
from backhaul.depot.store.interface import Clock

_WRITE_AT = 1 << 20  # bytes gathered before a thread hashes and writes them

GRACE = 60.0
"""Seconds between the moment when nothing names a blob any more, and its end."""

_MOST_WAITING = 100_000  # blobs; the sweep finds those that are forgotten


class FolderBlobs:
    """A `Blobs` in one folder."""

    def __init__(self, root: Path, clock: Clock = time.monotonic) -> None:
        self._root = root
        self._incoming = root / "incoming"
        self._clock = clock
        self._unneeded: deque[tuple[float, str]] = deque(maxlen=_MOST_WAITING)
        self._make_folders()

    def _make_folders(self) -> None:
        """All of them, durably, before the first blob: so that settling a blob has one folder to make durable."""
        folders.make(self._root)
        places = [self._incoming, *(self._root / f"{number:02x}" for number in range(256))]
        missing = [place for place in places if not place.exists()]
        for place in missing:
            place.mkdir(mode=0o700)
        if missing:
            folders.sync(self._root)

    async def receive(self, chunks: AsyncIterator[bytes], accept: Callable[[Blob], None]) -> Blob:
        """See `Blobs`. A full disk is refused with 507, one that fails otherwise with 503."""
        name = secrets.token_hex(16)
        draft = self._incoming / name
        try:
            size, md5 = await _write(draft, chunks)
            blob = Blob(name, size, md5)
            accept(blob)
            await asyncio.to_thread(_settle, draft, self.path(name))
        except OSError as error:
            raise of_disk(error) from error
        finally:
            draft.unlink(missing_ok=True)
        return blob

    def keep(self, data: bytes) -> Blob:
        """See `Blobs`. A full disk is refused with 507, one that fails otherwise with 503."""

        def write(file: BinaryIO) -> tuple[int, str]:
            digest = hashlib.md5(usedforsecurity=False)
            _append(file, digest, data)
            return len(data), digest.hexdigest()

        return self._made(write, lambda _blob: None)

    def _made(self, write: Callable[[BinaryIO], tuple[int, str]], accept: Callable[[Blob], None]) -> Blob:
        """A blob of what `write` writes, which returns its size and MD5."""
        name = secrets.token_hex(16)
        draft = self._incoming / name
        try:
            with draft.open("xb", buffering=0) as file:
                blob = Blob(name, *write(file))
                os.fsync(file.fileno())
            accept(blob)
            _settle(draft, self.path(name))
        except OSError as error:
            raise of_disk(error) from error
        finally:
            draft.unlink(missing_ok=True)
        return blob

    def join(self, names: list[str], accept: Callable[[Blob], None]) -> Blob:
        """See `Blobs`. A full disk is refused with 507, one that fails otherwise with 503."""
        return self._made(lambda file: self._pour(names, file), accept)

    def _pour(self, names: list[str], file: BinaryIO) -> tuple[int, str]:
        """Writes the bytes of those blobs; size and hexadecimal MD5 of all."""
        digest = hashlib.md5(usedforsecurity=False)
        for name in names:
            with self.path(name).open("rb") as source:
                while piece := source.read(_WRITE_AT):
                    _append(file, digest, piece)
        return file.tell(), digest.hexdigest()

    def path(self, name: str) -> Path:
        """See `Blobs`."""
        return self._root / name[:2] / name

    def remove(self, name: str) -> None:
        """See `Blobs`."""
        self._unneeded.append((self._clock(), name))

    def purge(self) -> None:
        """See `Blobs`."""
        while self._unneeded and self._clock() - self._unneeded[0][0] >= GRACE:
            self.destroy(self._unneeded.popleft()[1])

    def destroy(self, name: str) -> None:
        """See `Blobs`."""
        self.path(name).unlink(missing_ok=True)

    def names(self, start: str) -> set[str]:
        """See `Blobs`."""
        return {entry.name for folder in self._root.glob(f"{start}?") for entry in folder.iterdir()}

    def clear_incoming(self) -> None:
        """See `Blobs`."""
        for leftover in self._incoming.iterdir():
            leftover.unlink()


async def _write(draft: Path, chunks: AsyncIterator[bytes]) -> tuple[int, str]:
    """Size and hexadecimal MD5 of what was written; it is on the disk when this returns."""
    digest = hashlib.md5(usedforsecurity=False)
    size = 0
    waiting: list[bytes] = []
    gathered = 0
    with draft.open("xb", buffering=0) as file:
        async for chunk in chunks:
            waiting.append(chunk)
            gathered += len(chunk)
            if gathered >= _WRITE_AT:
                await asyncio.to_thread(_append, file, digest, b"".join(waiting))
                size += gathered
                waiting, gathered = [], 0
        await asyncio.to_thread(_finish, file, digest, b"".join(waiting))
    return size + gathered, digest.hexdigest()


def _append(file: BinaryIO, digest: hashlib._Hash, data: bytes) -> None:
    digest.update(data)
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _finish(file: BinaryIO, digest: hashlib._Hash, data: bytes) -> None:
    """The last bytes; then all of the file is on the disk."""
    _append(file, digest, data)
    os.fsync(file.fileno())


def _settle(draft: Path, place: Path) -> None:
    """Renames and makes the rename durable."""
    draft.rename(place)
    folders.sync(place.parent)
