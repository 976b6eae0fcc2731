"""The plain text of a run's console, which becomes its `output.log`."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from backhaul.runs.payloads import Payload

# A longer text lies on the disk.
_IN_MEMORY = 256 << 10


class ConsoleText:
    """Takes the text as it is read: in memory while it is short, then in a file that is gone with the block.

    `size` is its length in bytes.
    """

    def __init__(self) -> None:
        self.size = 0
        self._head = bytearray()
        self._file: IO[bytes] | None = None
        # What was written is read again while more is being written, in another thread.
        self._at_work = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, text: bytes) -> None:
        """Put `text` at the end. Raises OSError when there is no room for it."""
        with self._at_work:
            if self._file is None and self.size + len(text) > _IN_MEMORY:
                self._file = tempfile.NamedTemporaryFile(prefix="backhaul-console-")  # noqa: SIM115 - see __exit__
                self._file.write(self._head)
                self._head.clear()
            if self._file is None:
                self._head += text
            else:
                self._file.write(text)
            self.size += len(text)

    def clear(self) -> None:
        """Begin anew, with no text."""
        with self._at_work:
            self.size = 0
            self._head.clear()
            if self._file is not None:
                self._file.close()
                self._file = None

    def part(self, start: int, stop: int) -> bytes:
        """The bytes from `start` to `stop`, which were written. Raises OSError."""
        with self._at_work:
            if self._file is None:
                return bytes(self._head[start:stop])
            self._file.flush()
            return os.pread(self._file.fileno(), stop - start, start)

    def payload(self, name: str) -> Payload | None:
        """The text so far as the file `name`; None when there is none."""
        if self._file is not None:
            self._file.flush()
            return Payload(name, Path(self._file.name))
        return Payload(name, content=bytes(self._head)) if self._head else None
