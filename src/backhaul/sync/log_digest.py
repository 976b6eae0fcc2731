"""The digest of a log: what a receipt, and a checkpoint, knows it by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_BLOCK = 1 << 20


class LogDigest:
    """SHA-256 of a log's beginning, further and further: of its first `size` bytes."""

    def __init__(self) -> None:
        self.size = 0
        self._sha256 = hashlib.sha256()

    @classmethod
    def of(cls, log: Path, size: int) -> Self:
        """That of the first `size` bytes of the file, or of all if they are fewer. Raises OSError."""
        made = cls()
        with log.open("rb") as file:
            while made.size < size and (block := file.read(min(size - made.size, _BLOCK))):
                made.take(made.size, block)
        return made

    def take(self, offset: int, data: bytes) -> None:
        """Take the bytes that stand in the log at `offset`; those that were taken already are passed over."""
        new = memoryview(data)[max(0, self.size - offset) :]
        if new and offset <= self.size:
            self._sha256.update(new)
            self.size += len(new)

    def hexdigest(self) -> str:
        """The digest, in hexadecimal."""
        return self._sha256.hexdigest()

    def copy(self) -> LogDigest:
        """The same, which stays as it is when this one goes on."""
        other = LogDigest()
        other.size, other._sha256 = self.size, self._sha256.copy()
        return other


def sha256_of(log: Path, size: int) -> str:
    """SHA-256 of the first `size` bytes: of what was there when the sync began. Raises OSError."""
    return LogDigest.of(log, size).hexdigest()


@dataclass(slots=True)
class Beginning:
    """What a process that reads a growing log again and again knows of its beginning, for as long as it is one file."""

    _file: tuple[int, int] | None = None
    _digest: LogDigest | None = None

    def look(self, log: Path) -> LogDigest | None:
        """The log is about to be read: the digest of what was read of it before, if it is still the same file."""
        before, self._file = self._file, _file_at(log)
        return self._digest if before == self._file is not None else None

    def know(self, digest: LogDigest | None) -> None:
        """This is the digest of what was read of it."""
        self._digest = digest


def _file_at(log: Path) -> tuple[int, int] | None:
    try:
        status = log.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
