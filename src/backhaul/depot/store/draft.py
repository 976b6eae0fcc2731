"""A blob on its way: a file under `incoming/`, until it is whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from backhaul.depot.model import Blob
from backhaul.depot.store.folders import Folder

_MOST_PIECES = 512  # that the system takes in one call, with room to spare


class Draft:
    """Bytes that are written to `path` and counted. For one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._digest = hashlib.md5(usedforsecurity=False)
        self._size = 0

    def append(self, pieces: Sequence[bytes]) -> None:
        """Writes the pieces behind what is there. Raises OSError."""
        self._file = self._file or self._path.open("xb", buffering=0)
        for start in range(0, len(pieces), _MOST_PIECES):
            self._write(pieces[start : start + _MOST_PIECES])

    def blob(self) -> Blob:
        """What is there so far, as the blob that it may become."""
        return Blob(self._path.name, self._size, self._digest.hexdigest())

    def settle(self, home: Folder) -> None:
        """Makes it a blob in its folder; all of it is on the disk when this returns. Raises OSError."""
        self.append([])
        assert self._file is not None
        os.fsync(self._file.fileno())
        self._file.close()
        self._path.rename(home.path / self._path.name)
        home.sync()

    def drop(self) -> None:
        """Leaves nothing behind, unless it was settled."""
        if self._file is not None:
            self._file.close()
            self._path.unlink(missing_ok=True)

    def _write(self, pieces: Sequence[bytes]) -> None:
        """All pieces in one call, without a copy that joins them; what the system did not take, one by one."""
        assert self._file is not None
        for piece in pieces:
            self._digest.update(piece)
        written = os.writev(self._file.fileno(), pieces) if pieces else 0
        self._size += sum(map(len, pieces))
        for piece in pieces:
            view = memoryview(piece)[written:]
            written = max(0, written - len(piece))
            while view:
                view = view[self._file.write(view) :]
