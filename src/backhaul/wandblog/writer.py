"""Writing a log: records, given as raw bytes, framed as the official writers frame them."""

from __future__ import annotations

from typing import BinaryIO

from backhaul.wandblog.chunk import (
    BLOCK_SIZE,
    CHUNK_HEADER_SIZE,
    FILE_HEADER,
    FIRST,
    FULL,
    LAST,
    MAX_PAYLOAD,
    MIDDLE,
    chunk,
)


class LogWriter:
    """Writes a log into `file` from its first byte on: the file header at once, then record after record.

    The bytes are those that the writers of SDK 0.10 to 0.31 make of the same records (of the Go engine: 0.17.6 on).
    `size` is the number of bytes written. What `file.write` raises passes through; the log then ends in a torn record.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = 0
        self._put(FILE_HEADER)

    def write(self, data: bytes) -> int:
        """Write one record; returns the file offset of its first chunk's header."""
        if self._room() < CHUNK_HEADER_SIZE:
            self._put(bytes(self._room()))
        offset, kind = self.size, FULL
        while len(data) > (space := min(self._room() - CHUNK_HEADER_SIZE, MAX_PAYLOAD)):
            self._put(chunk(FIRST if kind == FULL else MIDDLE, data[:space]))
            data, kind = data[space:], LAST
        self._put(chunk(kind, data))
        return offset

    def _room(self) -> int:
        """Bytes left in the block."""
        return BLOCK_SIZE - self.size % BLOCK_SIZE

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self.size += len(data)
