"""Framing: how records lie in the bytes of a `.wandb` file (see `chunk` for the format), and how to read past damage.

Chunks are followed from one to the next, and each is believed by its checksum. The block grid is not needed for that:
it is learned from the file (a FIRST or MIDDLE chunk ends at a block's end) and used to say what is wrong with a chunk.
So the variant whose blocks lie seven bytes later (the Go writer before SDK 0.17.6 did not count the file header), a
page that is missing, and a second log in the same file are all read without a case of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from isal import isal_zlib

from backhaul.wandblog.assembly import Assembly
from backhaul.wandblog.chunk import (
    CHUNK_HEADER,
    CHUNK_HEADER_SIZE,
    FILE_HEADER,
    FILE_MAGIC,
    FULL,
    LAST,
    MIDDLE,
    SEEDS,
    is_true_chunk,
)
from backhaul.wandblog.damage import Damage, DamageKind
from backhaul.wandblog.detour import Detour
from backhaul.wandblog.grid import ALIGNED, Grid
from backhaul.wandblog.mark import Mark
from backhaul.wandblog.raw import RawBatch, RawRecord
from backhaul.wandblog.salvage import mended_type
from backhaul.wandblog.window import LOOKAHEAD, Window

# Small enough that a window and its records stay in the processor's cache and in memory that is used again: 2 MiB at a
# time take a quarter longer.
_FIRST_READ, _READ = 256 << 10, 512 << 10

# Is told an offset, and the bytes that were read there.
Watch = Callable[[int, bytes], None]


class Framing:
    """The records of a log, in file order, in constant memory.

    Iterate once. Afterwards `damage` lists every range that gave no record, in file order and without overlaps, and
    `size` is the number of bytes in the file. A chunk whose checksum fails is never returned. Parts of two records are
    never joined where a byte between them is bad; where a whole block is missing without a trace only the records' own
    numbers show it (`LogReader` looks at them). After damage, reading goes on at the next true chunk.

    `start` is where a chunk begins, `base` where the block grid begins (modulo the block size) as far as is known, and
    `stop` the byte at which the file is taken to end. `watch` is shown what is read, in order.
    """

    def __init__(
        self,
        file: BinaryIO,
        *,
        start: int = len(FILE_HEADER),
        base: int | None = None,
        stop: int | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.size = start
        self._watch = watch
        self._file = file
        self._start = start
        self._stop = stop
        self._seen = start
        self._at_end = False
        self._wanted = _FIRST_READ
        self._grid = Grid(base or ALIGNED)
        self._assembly = Assembly(self._grid)
        self._detour = Detour(self._grid)

    @property
    def damage(self) -> list[Damage]:
        """The ranges that gave no record, as far as reading has come."""
        return self._assembly.losses.found

    def mark(self) -> Mark | None:
        """The place behind the last batch, once there was one, for `go_on_from`.

        None where a record or damage is begun, and behind the last window, whose end may be another one tomorrow.
        """
        if self._at_end or not self._assembly.is_idle:
            return None
        return Mark(self._start, self._seen, self._grid.base, tuple(self.damage), self._detour.effort)

    def go_on_from(self, mark: Mark) -> None:
        """Begin there instead of at `start`, with the windows that there would have been."""
        self._start, self._seen = mark.offset, mark.seen
        self._wanted = mark.seen - mark.offset + _READ
        self._grid.base, self._detour.effort = mark.base, mark.effort
        self.damage[:] = mark.damage

    def __iter__(self) -> Iterator[RawRecord]:
        for batch in self.batches():
            yield from map(RawRecord, batch.offsets, batch.datas)

    def batches(self) -> Iterator[RawBatch]:
        """The same, many at a time."""
        self._file.seek(self._start)
        data, wanted = b"", self._wanted
        while not self._at_end:
            room = wanted if self._stop is None else max(0, self._stop - self._start - len(data))
            more = _read(self._file, min(wanted, room))
            self._at_end, wanted = len(more) < wanted, _READ
            if self._watch is not None:
                self._watch(self._start + len(data), more)
            data += more
            records, position = self._chunks(Window(data, self._start, self._at_end))
            self._seen = self._start + len(data)
            self._start += position
            data = data[position:]
            if records.offsets:
                yield records
        self._assembly.finish(self._start, data)
        self.size = self._start + len(data)

    def _chunks(self, window: Window) -> tuple[RawBatch, int]:
        """The records of `window`, and the position up to which it is used up."""
        records = RawBatch()
        stop = len(window) - (CHUNK_HEADER_SIZE - 1 if window.at_end else LOOKAHEAD)
        position = 0
        while position < stop:
            if self._assembly.is_idle:
                position = _full_chunks(window, position, stop, records)
            if position < stop:
                position = self._odd_chunk(window, position, records)
        return records, position

    def _odd_chunk(self, window: Window, position: int, records: RawBatch) -> int:
        """Take what is not just one more FULL chunk; returns where to go on."""
        data, offset = window.data, window.offset + position
        if is_true_chunk(data, position, len(data)):
            length: int
            _, length, kind = CHUNK_HEADER.unpack_from(data, position)
            stop = position + CHUNK_HEADER_SIZE + length
            self._assembly.join(kind, offset, data[stop - length : stop], records)
            return stop
        if not self._detour.is_worth_a_look(offset):
            self._assembly.lose(offset, DamageKind.BAD_CHECKSUM)
            return self._detour.behind_block(window, position)
        if self._assembly.losses.kind is None and (trailer := self._detour.trailer(window, position)):
            return position + trailer
        return self._bad_chunk(window, position, records)

    def _bad_chunk(self, window: Window, position: int, records: RawBatch) -> int:
        """No true chunk starts at `position`: note why, and return where the next one does."""
        if self._assembly.losses.kind is not None:
            resume = self._detour.behind(window, position)
        else:
            kind, resume = self._detour.diagnosis(window, position)
            if self._mend(window, position, resume, kind, records):
                return resume
            self._lose_chunk(window, position, kind)
        self._note_second_header(window, position, resume)
        return resume

    def _mend(self, window: Window, position: int, stop: int, kind: DamageKind, records: RawBatch) -> bool:
        """Take the chunk at `position` after all, if only its length or its type is hurt."""
        if kind not in (DamageKind.BAD_LENGTH, DamageKind.BAD_CHECKSUM, DamageKind.BAD_TYPE):
            return False
        mended = mended_type(window.data, position, stop)
        if mended is None or (mended in (MIDDLE, LAST) and not self._assembly.has_parts):
            return False
        offset = window.offset + position
        self._assembly.join(mended, offset, window.data[position + CHUNK_HEADER_SIZE : stop], records)
        self._assembly.losses.add(Damage(offset, CHUNK_HEADER_SIZE, kind, range(0)))
        return True

    def _lose_chunk(self, window: Window, position: int, kind: DamageKind) -> None:
        has_parts = self._assembly.has_parts
        if has_parts and kind is DamageKind.SECOND_HEADER:
            kind = DamageKind.ORPHAN
        _, length, _ = CHUNK_HEADER.unpack_from(window.data, position)
        ends_with_file = window.at_end and position + CHUNK_HEADER_SIZE + length == len(window)
        was_never_a_chunk = kind is DamageKind.BAD_TYPE and not has_parts and not ends_with_file
        self._assembly.lose(window.offset + position, kind, DamageKind.APPENDED if was_never_a_chunk else kind)

    def _note_second_header(self, window: Window, position: int, resume: int) -> None:
        header = window.data.find(FILE_MAGIC, position, resume)
        if header >= 0:
            offset = window.offset + header
            self._assembly.losses.close(offset)
            self._assembly.lose(offset, DamageKind.SECOND_HEADER)
            self._grid.learn(offset)


def _full_chunks(window: Window, position: int, stop: int, records: RawBatch) -> int:
    """Take FULL chunks until something else comes; returns its position. Nearly every byte of a log goes this way."""
    window_data, offset = window.data, window.offset
    unpack, crc32, seed, end = CHUNK_HEADER.unpack_from, isal_zlib.crc32, SEEDS[FULL], len(window_data)
    add_offset, add_data = records.offsets.append, records.datas.append
    while position < stop:
        checksum, length, kind = unpack(window_data, position)
        following = position + CHUNK_HEADER_SIZE + length
        data = window_data[position + CHUNK_HEADER_SIZE : following]
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
