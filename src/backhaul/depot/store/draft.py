"""A blob on its way: in memory while it is small, else a file under `incoming/`, until it is whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from backhaul.depot.model import Blob
from backhaul.depot.store.folders import Folder

_MOST_PIECES = 512  # that the system takes in one call, with room to spare


class Draft:
    """Bytes that come piece by piece, and are to become the blob `name`. For one thread at a time."""

    def __init__(self, incoming: Path, name: str) -> None:
        self._path = incoming / name
        self.name = name
        self._descriptor: int | None = None
        self._digest = hashlib.md5(usedforsecurity=False)
        self._size = 0

    def append(self, pieces: Sequence[bytes]) -> None:
        """Writes the pieces behind what is there. Raises OSError."""
        self._count(pieces)
        self._write(pieces)

    def settle(self, rest: Sequence[bytes], accept: Callable[[Blob], None], home: Folder) -> Blob:
        """Makes it a blob in its folder, with `rest` at its end; all of it is on the disk when this returns.

        What is in memory as a whole goes to its place at once: nothing names a blob before it is settled. Raises
        OSError, and what `accept` raises.
        """
        self._count(rest)
        blob = Blob(self.name, self._size, self._digest.hexdigest())
        accept(blob)
        place, begun = home.path / self.name, self._descriptor is not None
        self._path = self._path if begun else place
        self._write(rest)
        os.fsync(self._opened())
        self._close()
        if begun:
            self._path.rename(place)
        home.sync()
        return blob

    def drop(self) -> None:
        """Leaves nothing behind, unless it was settled."""
        if self._descriptor is not None:
            self._close()
            self._path.unlink(missing_ok=True)

    def _count(self, pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            self._digest.update(piece)
            self._size += len(piece)

    def _opened(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        return self._descriptor

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _write(self, pieces: Sequence[bytes]) -> None:
        """Many pieces in one call, without a copy that joins them."""
        for start in range(0, len(pieces), _MOST_PIECES):
            self._write_some(pieces[start : start + _MOST_PIECES])

    def _write_some(self, pieces: Sequence[bytes]) -> None:
        """All pieces in one call; what the system did not take, one by one."""
        descriptor = self._opened()
        written = os.writev(descriptor, pieces)
        for piece in pieces:
            view = memoryview(piece)[written:]
            written = max(0, written - len(piece))
            while view:
                view = view[os.write(descriptor, view) :]
