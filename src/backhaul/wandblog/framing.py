"""Blocks and chunks: how records lie in the bytes of a `.wandb` file.

The file starts with seven bytes: ``:W&B``, the magic 0xBEE1 (little endian) and a version byte, 0 so far. After that
come blocks of 32 KiB, counted from the file's first byte, so that block 0 has seven bytes less. A block is a row of
chunks; each chunk has a header of seven bytes, little endian: CRC-32 (IEEE, over type and payload), payload length
(u16), type (u8). A record is one FULL chunk, or FIRST, MIDDLE…, LAST. No chunk crosses a block's end; a remainder too
short for a header is filled with zeros. This is LevelDB's log format with another checksum and a file header in front.

The Go writer before SDK 0.17.6 did not count the file header, so that its blocks lie seven bytes later
(`MISALIGNED`). Sources: bytes on disk of SDK 0.10 to 0.31 (docs/internals/wandb-log.md).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, NamedTuple

FILE_HEADER = b":W&B\xe1\xbe\x00"
BLOCK_SIZE = 32768
CHUNK_HEADER_SIZE = 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
ALIGNED, MISALIGNED = 0, len(FILE_HEADER)

_CHUNK_HEADER = struct.Struct("<IHB")
_WINDOW_BLOCKS = 64
_ZERO_HEADER = bytes(CHUNK_HEADER_SIZE)


class DamageKind(StrEnum):
    """Why a range of the file holds no readable record."""

    TORN = "torn"
    BAD_CHECKSUM = "bad checksum"
    BAD_LENGTH = "bad length"
    BAD_TYPE = "unknown chunk type"
    ORPHAN = "orphan fragment"
    ZEROED = "zeroed range"
    UNDECODABLE = "undecodable record"


@dataclass(frozen=True, slots=True)
class Damage:
    """A range of the file, in bytes from its start, from which no record could be read."""

    offset: int
    length: int
    kind: DamageKind


class RawRecord(NamedTuple):
    """A record's bytes as they stand in the log, and the file offset of its first chunk's header."""

    offset: int
    data: bytes


class Framing:
    """The records of a log, in file order, in constant memory.

    Iterate once. Afterwards `damage` lists every range that gave no record, in file order and without overlaps. A chunk
    whose checksum fails is never returned, and parts of two records are never joined. After damage, reading goes on at
    the next true chunk of the same block, else at the next block.
    """

    def __init__(self, file: BinaryIO, *, start: int = len(FILE_HEADER), base: int | None = None) -> None:
        self.damage: list[Damage] = []
        self._file = file
        self._base = grid_base(file) if base is None else base
        self._start = start
        self._parts: list[bytes] = []
        self._record_offset = 0
        self._lost_from: int | None = None
        self._lost_kind = DamageKind.TORN

    def __iter__(self) -> Iterator[RawRecord]:
        end = self._start
        for offset, window in self._windows():
            for block in range(0, len(window), BLOCK_SIZE):
                yield from self._block(window, block, offset)
            end = offset + len(window)
        if self._parts:
            self._lose(self._record_offset, DamageKind.TORN)
        self._close_damage(end)

    def _windows(self) -> Iterator[tuple[int, bytes]]:
        """Whole blocks at a time, each with its file offset; the last one may be short."""
        offset = self._base + (self._start - self._base) // BLOCK_SIZE * BLOCK_SIZE
        self._file.seek(offset)
        while window := self._file.read(_WINDOW_BLOCKS * BLOCK_SIZE):
            while len(window) % BLOCK_SIZE and (more := self._file.read(BLOCK_SIZE - len(window) % BLOCK_SIZE)):
                window += more
            yield offset, window
            offset += len(window)

    def _block(self, window: bytes, block: int, offset: int) -> Iterator[RawRecord]:
        limit = min(block + BLOCK_SIZE, len(window))
        position = max(block, self._start - offset)
        view = memoryview(window)
        unpack, crc32 = _CHUNK_HEADER.unpack_from, zlib.crc32
        while position + CHUNK_HEADER_SIZE <= limit:
            checksum, length, kind = unpack(window, position)
            payload = position + CHUNK_HEADER_SIZE
            stop = payload + length
            if stop > limit or crc32(view[payload - 1 : stop]) != checksum or not FULL <= kind <= LAST:
                position = self._resume(window, position, limit, offset)
                continue
            if kind == FULL and not self._parts and self._lost_from is None:
                yield RawRecord(offset + position, window[payload:stop])
            elif record := self._join(kind, offset + position, window[payload:stop]):
                yield record
            position = stop
        if limit < block + BLOCK_SIZE and position < limit:
            self._lose(offset + position, DamageKind.TORN)

    def _join(self, kind: int, offset: int, payload: bytes) -> RawRecord | None:
        """Put chunks together; a chunk that does not continue what came before ends it as lost."""
        if kind in (FULL, FIRST):
            if self._parts:
                self._lose(self._record_offset, DamageKind.ORPHAN)
            self._close_damage(offset)
            self._record_offset = offset
            if kind == FULL:
                return RawRecord(offset, payload)
            self._parts = [payload]
            return None
        if not self._parts:
            self._lose(offset, DamageKind.ORPHAN)
            return None
        self._parts.append(payload)
        if kind == MIDDLE:
            return None
        data, self._parts = b"".join(self._parts), []
        return RawRecord(self._record_offset, data)

    def _resume(self, window: bytes, position: int, limit: int, offset: int) -> int:
        """Note why the chunk at `position` is bad, and return where to go on in this block."""
        kind, resume = _inspect_bad_chunk(window, position, limit)
        at_end_of_file = limit == len(window) and limit % BLOCK_SIZE != 0
        if resume == limit and at_end_of_file and kind is DamageKind.BAD_LENGTH:
            kind = DamageKind.TORN
        if kind is DamageKind.ZEROED and not self._parts:
            # Preallocated or zero-filled space holds no record: nothing is lost by it, but it is told.
            self._lose(offset + position, kind)
        else:
            self._lose(self._record_offset if self._parts else offset + position, kind)
        return resume

    def _lose(self, offset: int, kind: DamageKind) -> None:
        self._parts = []
        if self._lost_from is None:
            self._lost_from, self._lost_kind = offset, kind

    def _close_damage(self, offset: int) -> None:
        if self._lost_from is not None and offset > self._lost_from:
            self.damage.append(Damage(self._lost_from, offset - self._lost_from, self._lost_kind))
        self._lost_from = None


def is_true_chunk(window: bytes, position: int, limit: int) -> bool:
    """Whether a chunk that lies wholly before `limit` starts at `position`: type, length and checksum all hold."""
    if position + CHUNK_HEADER_SIZE > limit:
        return False
    checksum: int
    checksum, length, kind = _CHUNK_HEADER.unpack_from(window, position)
    payload = position + CHUNK_HEADER_SIZE
    if not FULL <= kind <= LAST or payload + length > limit:
        return False
    return zlib.crc32(memoryview(window)[payload - 1 : payload + length]) == checksum


def _inspect_bad_chunk(window: bytes, position: int, limit: int) -> tuple[DamageKind, int]:
    _, length, type_byte = _CHUNK_HEADER.unpack_from(window, position)
    if window[position : position + CHUNK_HEADER_SIZE] == _ZERO_HEADER:
        return DamageKind.ZEROED, _next_true_chunk(window, position + CHUNK_HEADER_SIZE, limit)
    stop = position + CHUNK_HEADER_SIZE + length
    if stop > limit:
        kind = DamageKind.BAD_LENGTH
    elif not FULL <= type_byte <= LAST:
        kind = DamageKind.BAD_TYPE
    else:
        kind = DamageKind.BAD_CHECKSUM
    # When only the payload is damaged, the length still leads to the next chunk.
    if stop < limit and is_true_chunk(window, stop, limit):
        return kind, stop
    return kind, _next_true_chunk(window, position + 1, limit)


def _next_true_chunk(window: bytes, position: int, limit: int) -> int:
    """The first position from `position` on where a true chunk starts, else `limit`."""
    for candidate in range(position, limit - CHUNK_HEADER_SIZE + 1):
        if FULL <= window[candidate + 6] <= LAST and is_true_chunk(window, candidate, limit):
            return candidate
    return limit


def grid_base(file: BinaryIO) -> int:
    """Where the block grid starts: `ALIGNED` (0), or `MISALIGNED` (7) for the Go writer before SDK 0.17.6.

    Decided by the first block after block 0 that starts with a true chunk under one of the two; a file shorter than a
    block is the same under both.
    """
    for block in range(1, 9):
        file.seek(block * BLOCK_SIZE)
        window = file.read(BLOCK_SIZE + MISALIGNED)
        if is_true_chunk(window, 0, min(BLOCK_SIZE, len(window))):
            return ALIGNED
        if is_true_chunk(window, MISALIGNED, len(window)):
            return MISALIGNED
        if len(window) < BLOCK_SIZE:
            break
    return ALIGNED
