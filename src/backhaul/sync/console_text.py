"""The plain text of a run's console, which becomes its `output.log`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from backhaul.runs.payloads import Payload

# A longer text lies on the disk.
_IN_MEMORY = 256 << 10


class ConsoleText:
    """Takes the text as it is read: in memory while it is short, then in a file that is gone with the block."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, text: bytes) -> None:
        """Put `text` at the end. Raises OSError when there is no room for it."""
        if self._file is None and len(self._head) + len(text) <= _IN_MEMORY:
            self._head += text
            return
        if self._file is None:
            self._file = tempfile.NamedTemporaryFile(prefix="backhaul-console-")  # noqa: SIM115 - closed with the block
            self._file.write(self._head)
        self._file.write(text)

    def payload(self, name: str) -> Payload | None:
        """The text so far as the file `name`; None when there is none."""
        if self._file is not None:
            self._file.flush()
            return Payload(name, Path(self._file.name))
        return Payload(name, content=bytes(self._head)) if self._head else None
