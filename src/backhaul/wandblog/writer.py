"""Writing a log: records into chunks and blocks, the same bytes that the official writers make."""

from __future__ import annotations

import zlib
from typing import BinaryIO

from backhaul.wandblog.framing import BLOCK_SIZE, CHUNK_HEADER_SIZE, FILE_HEADER, FIRST, FULL, LAST, MIDDLE


class LogWriter:
    """Writes the file header, and then each record that it is given, to `file` from where it stands (its start).

    Record bytes go in as they are. What `file` raises comes through; nothing is flushed or closed here.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._room = BLOCK_SIZE - len(FILE_HEADER)
        file.write(FILE_HEADER)

    def write(self, record: bytes) -> None:
        """Append one record: a FULL chunk when the block has room for it, else FIRST, MIDDLE…, LAST."""
        rest = memoryview(record)
        first = True
        while first or rest:
            if self._room < CHUNK_HEADER_SIZE:
                self._file.write(bytes(self._room))
                self._room = BLOCK_SIZE
            part = rest[: self._room - CHUNK_HEADER_SIZE]
            rest = rest[len(part) :]
            self._chunk(_kind(first=first, last=not rest), part)
            first = False

    def _chunk(self, kind: int, payload: memoryview) -> None:
        covered = bytes([kind]) + payload
        self._file.write(zlib.crc32(covered).to_bytes(4, "little") + len(payload).to_bytes(2, "little") + covered)
        self._room -= CHUNK_HEADER_SIZE + len(payload)


def _kind(*, first: bool, last: bool) -> int:
    if first:
        return FULL if last else FIRST
    return LAST if last else MIDDLE
