"""What must hold for every file that is read as a log, whatever its bytes are; and logs made by a short program.

For the fuzzer (`scripts/fuzz`) and for the cases that it found (`tests/unit/wandblog/test_fuzz_cases.py`).
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from isal import isal_zlib

from backhaul.errors import BackhaulError
from backhaul.repair.survey import survey
from backhaul.wandblog import Damage, DamageKind, LogReader, LogWriter
from backhaul.wandblog.chunk import chunk
from backhaul.wandblog.framing import Framing
from backhaul.wandblog.identify import identify
from backhaul.wandblog.schema import Record

_HEADER = b":W&B\xe1\xbe\x00"
_BLOCK = 32768
# Bytes that are put through the checksum for each byte of the file, at most. A crafted block may cost this much.
_MOST_WORK = 1000
_LONGEST = 100_000
_WORDS = (b"", b"text", b"x" * 300, b"y" * 5000, b"z" * 40_000)


def check(path: Path) -> None:
    """Read the file at `path` in every way that there is; AssertionError when something does not hold."""
    data = path.read_bytes()
    identify(path, data[:512])
    try:
        _check_reader(path, data)
        survey(path)
    except BackhaulError:
        if data.startswith(_HEADER[:6]):
            raise
    _check_framing(data)


def _check_reader(path: Path, data: bytes) -> None:
    reader = LogReader(path)
    offsets = [record.offset for record in reader]
    assert offsets == sorted(set(offsets)), "records out of order, or one of them twice"
    assert reader.size == len(data), "not read to the end"
    end = 0
    for damage in reader.damage:
        assert end <= damage.offset <= damage.end <= len(data), "damage out of order, overlapping or outside the file"
        assert damage.length or damage.kind is DamageKind.NUMBER_GAP, "damage of no bytes"
        end = damage.end
    assert reader.lost_records is None or reader.lost_records >= 0


def _check_framing(data: bytes) -> None:
    checksum, work = isal_zlib.crc32, 0

    def counted(content: bytes, start: int = 0) -> int:
        nonlocal work
        work += len(content)
        return checksum(content, start)

    framing = Framing(io.BytesIO(data))
    extents: list[tuple[int, int, bytes]] = []
    with mock.patch("isal.isal_zlib.crc32", counted):
        for batch in framing.batches():
            for offset, content in batch:
                extents.append((offset, batch.end_of(offset, content), content))
    assert work <= _MOST_WORK * len(data) + _BLOCK, "more than linear work"
    mended = {damage.offset for damage in framing.damage if _is_mended(damage)}
    for offset, end, content in extents:
        inside = [place for place in mended if offset <= place < end]
        assert _is_true(data, offset, content) if not inside else True, "a record whose checksum fails"
    _check_account(data, extents, [damage for damage in framing.damage if not _is_mended(damage)])
    _check_written_again([content for _, _, content in extents])


def _is_mended(damage: Damage) -> bool:
    return damage.numbers == range(0) and damage.length == 7


def _is_true(data: bytes, offset: int, content: bytes) -> bool:
    """Whether the chunks from `offset` on, taken apart anew, hold and make up the record."""
    parts = list(_chunks(data, offset))
    return b"".join(parts) == content


def _chunks(data: bytes, offset: int) -> Iterator[bytes]:
    wanted: tuple[int, ...] = (1, 2)
    while True:
        length, kind = int.from_bytes(data[offset + 4 : offset + 6], "little"), data[offset + 6]
        payload = data[offset + 7 : offset + 7 + length]
        if kind not in wanted:
            # Up to six zero bytes fill a block up.
            assert data[offset] == 0, "no chunk where one should be"
            offset += 1
            continue
        assert zlib.crc32(bytes([kind]) + payload).to_bytes(4, "little") == data[offset : offset + 4], "bad checksum"
        yield payload
        if kind in (1, 4):
            return
        offset, wanted = offset + 7 + length, (3, 4)


def _check_account(data: bytes, extents: list[tuple[int, int, bytes]], damages: list[Damage]) -> None:
    """Every byte behind the file header is a record's, damage, or zero fill."""
    pieces = sorted([(start, end) for start, end, _ in extents] + [(each.offset, each.end) for each in damages])
    position = min(7, len(data))
    for start, end in [*pieces, (len(data), len(data))]:
        assert position <= start, "overlap"
        # Six bytes to the end of a block, and six more where another grid begins behind it.
        assert start - position <= 12, "bytes that are not accounted for"
        assert not any(data[position:start]), "bytes that are not accounted for"
        position = end


def _check_written_again(contents: list[bytes]) -> None:
    file = io.BytesIO()
    writer = LogWriter(file)
    for content in contents:
        writer.write(content)
    again = Framing(file)
    assert [content for _, content in again] == contents, "not the same after writing"
    assert again.damage == [], "our own writer's log is damaged"


class Program:
    """Makes a file out of any bytes: they are read as instructions, most of which make sense for a log."""

    def __init__(self, code: bytes) -> None:
        self._code = io.BytesIO(code)
        self._log = bytearray(_HEADER)
        self._number = 1

    def run(self) -> bytes:
        """The file."""
        steps = (
            self._record,
            self._record,
            self._landmark,
            self._chunk,
            self._raw,
            self._zeros,
            self._flip,
            self._cut,
            self._again,
            self._remove,
            self._header,
            self._repeat,
        )
        while (code := self._code.read(1)) and len(self._log) < _LONGEST:
            steps[code[0] % len(steps)]()
        return bytes(self._log[:_LONGEST])

    def _int(self, size: int) -> int:
        return int.from_bytes(self._code.read(size), "little")

    def _place(self) -> int:
        return self._int(3) % (len(self._log) + 1)

    def _put(self, message: Record) -> None:
        content = message.SerializeToString()
        kind = 1
        while True:
            room = _BLOCK - len(self._log) % _BLOCK
            if room < 7:
                self._log += bytes(room)
                continue
            if len(content) <= room - 7:
                break
            self._log += chunk(2 if kind == 1 else 3, content[: room - 7])
            content, kind = content[room - 7 :], 4
        self._log += chunk(kind, content)

    def _record(self) -> None:
        step = self._int(1)
        self._number = max(0, self._number + 1 + (step - 256 if step > 250 else step // 100))
        self._put(Record(num=self._number, history=_WORDS[self._int(1) % len(_WORDS)]))

    def _landmark(self) -> None:
        message = Record(num=self._number)
        match self._int(1) % 4:
            case 0:
                self._number, message.num = 1, 1
                message.header.version_info.producer = "0.31.0"
            case 1:
                message.run.run_id = "abc"[self._int(1) % 3]
            case 2:
                message.exit.exit_code = 1
            case _:
                self._number = message.num = 0
        self._put(message)

    def _chunk(self) -> None:
        kind, size = self._int(1), self._int(2) % 32762
        made = chunk(1 + kind % 4, self._code.read(min(size, 20)).ljust(size, b"\x01"))
        self._log += made[: self._int(1)] if kind > 200 else made

    def _raw(self) -> None:
        self._log += self._code.read(self._int(1))

    def _zeros(self) -> None:
        self._log += bytes(self._int(2))

    def _flip(self) -> None:
        place = self._place()
        self._log[place : place + 1] = bytes([self._int(1)])

    def _cut(self) -> None:
        del self._log[self._place() :]

    def _again(self) -> None:
        start = self._place()
        self._log += self._log[start : start + self._int(2)]

    def _remove(self) -> None:
        start = self._place()
        del self._log[start : start + self._int(2)]

    def _header(self) -> None:
        self._log += _HEADER

    def _repeat(self) -> None:
        self._log += self._log[-1 - self._int(1) :] * (self._int(1) % 40)
