"""Framing: how records lie in the bytes of a `.wandb` file (see `chunk` for the format), and how to read past damage.

Chunks are followed from one to the next, and each is believed by its checksum. The block grid is not needed for that:
it is learned from the file (a FIRST or MIDDLE chunk ends at a block's end) and used to say what is wrong with a chunk.
So the variant whose blocks lie seven bytes later (the Go writer before SDK 0.17.6 did not count the file header), a
page that is missing, and a second log in the same file are all read without a case of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from isal import isal_zlib

from backhaul.wandblog import salvage
from backhaul.wandblog.chunk import (
    BLOCK_SIZE,
    CHUNK_HEADER,
    CHUNK_HEADER_SIZE,
    FILE_HEADER,
    FILE_MAGIC,
    FIRST,
    FULL,
    LAST,
    MIDDLE,
    SEEDS,
    is_true_chunk,
)
from backhaul.wandblog.damage import Damage, DamageKind, DamageList
from backhaul.wandblog.grid import ALIGNED, MISALIGNED, grid_base
from backhaul.wandblog.raw import RawBatch, RawRecord

__all__ = [
    "ALIGNED",
    "BLOCK_SIZE",
    "CHUNK_HEADER_SIZE",
    "FILE_HEADER",
    "FIRST",
    "FULL",
    "LAST",
    "MIDDLE",
    "MISALIGNED",
    "Damage",
    "DamageKind",
    "Framing",
    "RawBatch",
    "RawRecord",
    "grid_base",
    "is_true_chunk",
]

# Small enough that a window and its records stay in the processor's cache and in memory that is used again: 2 MiB at a
# time take a quarter longer.
_FIRST_READ, _READ = 256 << 10, 512 << 10
# Before the file's end a chunk is looked at only when its longest form lies in the window.
_LOOKAHEAD = CHUNK_HEADER_SIZE + 0xFFFF
# A crafted file could have a bad chunk every few bytes, each with a length that asks for 32 KiB of checksums. So many
# in one block are looked at one by one; the rest of that block is then passed over.
_MOST_BAD_CHUNKS_PER_BLOCK = 100


class Framing:
    """The records of a log, in file order, in constant memory.

    Iterate once. Afterwards `damage` lists every range that gave no record, in file order and without overlaps, and
    `size` is the number of bytes in the file. A chunk whose checksum fails is never returned. Parts of two records are
    never joined where a byte between them is bad; where a whole block is missing without a trace only the records' own
    numbers show it (`LogReader` looks at them). After damage, reading goes on at the next true chunk.

    `start` is where a chunk begins, `base` where the block grid begins (modulo the block size) as far as is known, and
    `stop` the byte at which the file is taken to end.
    """

    def __init__(
        self, file: BinaryIO, *, start: int = len(FILE_HEADER), base: int | None = None, stop: int | None = None
    ) -> None:
        self.size = start
        self._file = file
        self._start = start
        self._stop = stop
        self._base = base or ALIGNED
        self._parts: list[bytes] = []
        self._record_offset = 0
        self._losses = DamageList()
        self._salvage = salvage.Search()
        self._bad_block = self._bad_chunks = 0

    @property
    def damage(self) -> list[Damage]:
        """The ranges that gave no record, as far as reading has come."""
        return self._losses.found

    def __iter__(self) -> Iterator[RawRecord]:
        for batch in self.batches():
            yield from map(RawRecord, batch.offsets, batch.datas)

    def batches(self) -> Iterator[RawBatch]:
        """The same, many at a time."""
        self._file.seek(self._start)
        window, offset, wanted = b"", self._start, _FIRST_READ
        while True:
            room = wanted if self._stop is None else max(0, self._stop - offset - len(window))
            more = _read(self._file, min(wanted, room))
            at_end, wanted = len(more) < wanted, _READ
            window += more
            records, position = self._chunks(window, offset, at_end=at_end)
            if records.offsets:
                yield records
            offset += position
            window = window[position:]
            if at_end:
                break
        self._finish(offset, window)

    def _chunks(self, window: bytes, offset: int, *, at_end: bool) -> tuple[RawBatch, int]:
        """The records of `window`, and the position up to which it is used up."""
        records = RawBatch()
        stop = len(window) - (CHUNK_HEADER_SIZE - 1 if at_end else _LOOKAHEAD)
        position = 0
        while position < stop:
            if not self._parts and self._losses.kind is None:
                position = _full_chunks(window, position, stop, offset, records)
            if position < stop:
                position = self._odd_chunk(window, position, offset, records, at_end=at_end)
        return records, position

    def _odd_chunk(self, window: bytes, position: int, offset: int, records: RawBatch, *, at_end: bool) -> int:
        """Take what is not just one more FULL chunk; returns where to go on."""
        if is_true_chunk(window, position, len(window)):
            length: int
            _, length, kind = CHUNK_HEADER.unpack_from(window, position)
            stop = position + CHUNK_HEADER_SIZE + length
            self._join(kind, offset + position, window[stop - length : stop], records)
            return stop
        if not self._is_worth_a_look(offset + position):
            return self._pass_over(window, position, offset, at_end=at_end)
        if self._losses.kind is None and (trailer := self._trailer(window, position, offset)):
            return position + trailer
        return self._bad_chunk(window, position, offset, records, at_end=at_end)

    def _is_worth_a_look(self, offset: int) -> bool:
        block = offset // BLOCK_SIZE
        if block != self._bad_block:
            self._bad_block, self._bad_chunks = block, 0
        self._bad_chunks += 1
        return self._bad_chunks <= _MOST_BAD_CHUNKS_PER_BLOCK

    def _pass_over(self, window: bytes, position: int, offset: int, *, at_end: bool) -> int:
        """Leave the rest of a block, and go on at the first true chunk behind it."""
        self._lose(offset + position, DamageKind.BAD_CHECKSUM)
        behind = min(position + BLOCK_SIZE - (offset + position) % BLOCK_SIZE, len(window))
        return self._search(window, behind - 1, offset, at_end=at_end)

    def _trailer(self, window: bytes, position: int, offset: int) -> int:
        """The length of the zero fill at a block's end that starts at `position`; 0 when it is something else."""
        room = self._room(offset + position)
        if room < CHUNK_HEADER_SIZE and not any(window[position : position + room]):
            return room
        zeros = salvage.end_of_zeros(window[position : position + CHUNK_HEADER_SIZE], 0)
        for length in range(1, min(zeros, CHUNK_HEADER_SIZE - 1) + 1):
            if is_true_chunk(window, position + length, len(window)):
                self._base = (offset + position + length) % BLOCK_SIZE
                return length
        return 0

    def _room(self, offset: int) -> int:
        """Bytes from `offset` to the end of its block, 1 to the block size."""
        return BLOCK_SIZE - (offset - self._base) % BLOCK_SIZE

    def _join(self, kind: int, offset: int, payload: bytes, records: RawBatch) -> None:
        """Put chunks together; a chunk that does not continue what came before ends it as lost."""
        stop = offset + CHUNK_HEADER_SIZE + len(payload)
        if kind in (FIRST, MIDDLE):
            self._base = stop % BLOCK_SIZE
        if kind in (FULL, FIRST):
            if self._parts:
                self._lose(offset, DamageKind.ORPHAN)
            self._losses.close(offset)
            self._record_offset = offset
            if kind == FULL:
                records.add(offset, payload)
            else:
                self._parts = [payload]
        elif not self._parts:
            self._lose(offset, DamageKind.ORPHAN)
        else:
            self._parts.append(payload)
            if kind == LAST:
                records.add(self._record_offset, b"".join(self._parts))
                records.joined[self._record_offset] = stop
                self._parts = []

    def _bad_chunk(self, window: bytes, position: int, offset: int, records: RawBatch, *, at_end: bool) -> int:
        """No true chunk starts at `position`: note why, and return where the next one does."""
        if self._losses.kind is not None:
            resume = self._search(window, position, offset, at_end=at_end)
        else:
            kind, resume = self._diagnosis(window, position, offset, at_end=at_end)
            if self._mend(window, position, resume, offset, kind, records):
                return resume
            self._lose_chunk(window, position, offset, kind, at_end=at_end)
        self._note_second_header(window, position, resume, offset)
        return resume

    def _diagnosis(self, window: bytes, position: int, offset: int, *, at_end: bool) -> tuple[DamageKind, int]:
        """Why no true chunk starts at `position`, and where the next one does."""
        limit = position + self._room(offset + position)
        kind = salvage.classify(window, position, limit, at_end=at_end)
        resume = None if kind is DamageKind.ZEROED else salvage.by_own_length(window, position, min(limit, len(window)))
        if resume is None:
            resume = self._search(window, position, offset, at_end=at_end)
        # What looks like a chunk that the file's end cuts off may be one whose length is hurt.
        if kind is DamageKind.TORN and (
            resume < len(window) or salvage.mended_type(window, position, resume) is not None
        ):
            kind = DamageKind.BAD_LENGTH
        return kind, resume

    def _search(self, window: bytes, position: int, offset: int, *, at_end: bool) -> int:
        """Where the next true chunk starts; when there is none, up to where the window has been searched."""
        stop = max(position + 1, len(window) if at_end else len(window) - _LOOKAHEAD)
        start = max(position + 1, salvage.end_of_zeros(window, position) - CHUNK_HEADER_SIZE)
        found = self._salvage.next_true_chunk(window, start, stop, offset)
        return stop if found is None else found

    def _mend(
        self,
        window: bytes,
        position: int,
        stop: int,
        offset: int,
        kind: DamageKind,
        records: RawBatch,
    ) -> bool:
        """Take the chunk at `position` after all, if only its length or its type is hurt."""
        if kind not in (DamageKind.BAD_LENGTH, DamageKind.BAD_CHECKSUM, DamageKind.BAD_TYPE):
            return False
        mended = salvage.mended_type(window, position, stop)
        if mended is None or (mended in (MIDDLE, LAST) and not self._parts):
            return False
        payload = window[position + CHUNK_HEADER_SIZE : stop]
        self._join(mended, offset + position, payload, records)
        self._losses.add(Damage(offset + position, CHUNK_HEADER_SIZE, kind, range(0)))
        return True

    def _lose_chunk(self, window: bytes, position: int, offset: int, kind: DamageKind, *, at_end: bool) -> None:
        if self._parts and kind is DamageKind.SECOND_HEADER:
            kind = DamageKind.ORPHAN
        _, length, _ = CHUNK_HEADER.unpack_from(window, position)
        ends_with_file = at_end and position + CHUNK_HEADER_SIZE + length == len(window)
        was_never_a_chunk = kind is DamageKind.BAD_TYPE and not self._parts and not ends_with_file
        self._lose(offset + position, kind, DamageKind.APPENDED if was_never_a_chunk else kind)

    def _note_second_header(self, window: bytes, position: int, resume: int, offset: int) -> None:
        header = window.find(FILE_MAGIC, position, resume)
        if header >= 0:
            self._losses.close(offset + header)
            self._lose(offset + header, DamageKind.SECOND_HEADER)
            self._base = (offset + header) % BLOCK_SIZE

    def _finish(self, offset: int, rest: bytes) -> None:
        """The file ends behind `rest`, fewer bytes than a chunk's header."""
        self.size = offset + len(rest)
        is_fill = not any(rest) and len(rest) <= self._room(offset) < CHUNK_HEADER_SIZE
        if self._parts or (rest and not is_fill):
            self._lose(offset, DamageKind.TORN)
        self._losses.close(self.size, at_end=True)

    def _lose(self, offset: int, kind: DamageKind, kind_at_end: DamageKind | None = None) -> None:
        """From `offset` on, or from the record that is being put together, nothing can be read."""
        self._losses.open(self._record_offset if self._parts else offset, kind, kind_at_end)
        self._parts = []


def _full_chunks(window: bytes, position: int, stop: int, offset: int, records: RawBatch) -> int:
    """Take FULL chunks until something else comes; returns its position. Nearly every byte of a log goes this way."""
    unpack, crc32, seed, end = CHUNK_HEADER.unpack_from, isal_zlib.crc32, SEEDS[FULL], len(window)
    add_offset, add_data = records.offsets.append, records.datas.append
    while position < stop:
        checksum, length, kind = unpack(window, position)
        following = position + CHUNK_HEADER_SIZE + length
        data = window[position + CHUNK_HEADER_SIZE : following]
        if kind != FULL or following > end or crc32(data, seed) != checksum:
            break
        add_offset(offset + position)
        add_data(data)
        position = following
    return position


def _read(file: BinaryIO, size: int) -> bytes:
    """`size` bytes, fewer only at the file's end."""
    data = file.read(size)
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data
