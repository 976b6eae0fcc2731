"""The block format, case by case: what LevelDB's own log tests ask, for this format, and the file header's cases."""

from __future__ import annotations

import io
import struct
import zlib

import pytest

from backhaul.wandblog.chunk import FIRST, FULL, LAST, MIDDLE, chunk
from backhaul.wandblog.damage import Damage, DamageKind
from backhaul.wandblog.framing import Framing
from backhaul.wandblog.grid import grid_base
from backhaul.wandblog.writer import LogWriter

from ...framed_log import framed

_HEADER = b":W&B\xe1\xbe\x00"
_BLOCK = 32768


def _number(index: int) -> bytes:
    return b"record %d." % index


def _big(text: bytes, size: int) -> bytes:
    return (text * (size // len(text) + 1))[:size]


def _read(log: bytes, start: int = 7) -> tuple[list[bytes], list[tuple[int, int, DamageKind]]]:
    framing = Framing(io.BytesIO(log), start=start)
    records = [data for _, data in framing]
    return records, [(damage.offset, damage.length, damage.kind) for damage in framing.damage]


def test_a_log_without_records_is_read_as_such() -> None:
    """A file header alone holds no record and is no damage."""
    assert _read(framed()) == ([], [])


def test_a_small_log_has_the_bytes_that_the_format_says() -> None:
    """The checksum is the plain CRC-32 of type byte and payload, all integers are little endian."""
    expected = _HEADER + struct.pack("<IHB", zlib.crc32(b"\x01hello"), 5, 1) + b"hello"
    assert bytes(framed(b"hello")) == expected


def test_records_come_back_in_order() -> None:
    """What was written is read, an empty record too."""
    assert _read(framed(b"foo", b"bar", b"", b"xxxx")) == ([b"foo", b"bar", b"", b"xxxx"], [])


def test_a_log_of_many_blocks_is_read_whole() -> None:
    """Records of every length around a block's end."""
    records = [_number(index) for index in range(100_000)]
    assert _read(framed(*records)) == (records, [])


def test_records_longer_than_blocks_are_put_together() -> None:
    """FIRST, MIDDLE… and LAST make one record."""
    records = [b"small", _big(b"medium", 50_000), _big(b"large", 100_000)]
    assert _read(framed(*records)) == (records, [])


def test_offsets_are_those_of_the_first_chunk() -> None:
    """A record's offset is the file position of its first chunk's header, behind the zero fill where there is one."""
    file = io.BytesIO()
    writer = LogWriter(file)
    written = [writer.write(payload) for payload in (b"a", _big(b"b", 40_000), _big(b"c", _BLOCK - 7), b"d")]
    assert [offset for offset, _ in Framing(file)] == written
    assert written[0] == 7


def test_exactly_a_header_fits_into_the_block() -> None:
    """Seven bytes left: the next record begins there with an empty FIRST chunk."""
    records = [_big(b"foo", _BLOCK - 7 - 7 - 7), b"bar", b"tail"]
    log = framed(*records)
    assert log[_BLOCK - 7 : _BLOCK] == struct.pack("<IHB", zlib.crc32(b"\x02"), 0, 2)
    assert _read(log) == (records, [])


def test_exactly_a_header_fits_and_the_record_is_empty() -> None:
    """Seven bytes left and nothing to write into the next block: one empty FULL chunk ends the block."""
    records = [_big(b"foo", _BLOCK - 7 - 7 - 7), b"", b"bar"]
    log = framed(*records)
    assert log[_BLOCK - 1] == FULL
    assert _read(log) == (records, [])


def test_a_remainder_too_short_for_a_header_is_zero_filled() -> None:
    """Six bytes or fewer left: zeros, and no damage."""
    for room in range(1, 7):
        records = [_big(b"foo", _BLOCK - 7 - 7 - room), b"", b"bar"]
        log = framed(*records)
        assert log[_BLOCK - room : _BLOCK] == bytes(room)
        assert _read(log) == (records, [])


def test_the_file_may_end_before_the_zero_fill() -> None:
    """A writer fills a block up only when it goes on in the next one."""
    records = [_big(b"foo", _BLOCK - 7 - 7 - 4)]
    log = framed(*records)
    assert len(log) == _BLOCK - 4
    assert _read(log) == (records, [])


def test_the_file_may_end_behind_the_zero_fill() -> None:
    """The Go engine writes whole blocks, so the fill may be the file's end."""
    records = [_big(b"foo", _BLOCK - 7 - 7 - 4)]
    assert _read(framed(*records) + bytes(4)) == (records, [])


def test_a_second_process_that_appends_behind_a_whole_record_is_read() -> None:
    """Chunks are followed wherever they lie; a writer that counts its blocks anew is no damage."""
    log = framed(b"hello") + framed(b"world", _big(b"x", 70_000))[7:]
    assert _read(log) == ([b"hello", b"world", _big(b"x", 70_000)], [])


def test_random_lengths_are_read_back() -> None:
    """Lengths drawn over several orders of magnitude, always the same by their seed."""
    state, records = 301, []
    for index in range(500):
        state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        records.append(_big(_number(index), (state >> 33) % (1 << ((state >> 20) % 17))))
    assert _read(framed(*records)) == (records, [])


def test_an_error_of_the_disk_is_passed_on() -> None:
    """What the file raises is neither swallowed nor taken for the end."""

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        list(Framing(Failing(framed(b"foo"))))


def test_an_unknown_chunk_type_costs_that_record_only() -> None:
    """A type byte beyond 1 to 4 with a checksum that knows no other type."""
    log = framed(b"foo", b"bar")
    log[7 + 6] = 7
    log[7 + 8] ^= 0xFF
    assert _read(log) == ([b"bar"], [(7, 10, DamageKind.BAD_TYPE)])


def test_a_type_byte_alone_that_is_hurt_costs_nothing() -> None:
    """The checksum still tells which type it was; the damage is told with no number lost."""
    log = framed(b"foo", b"bar")
    log[7 + 6] = 200
    framing = Framing(io.BytesIO(log))
    assert [data for _, data in framing] == [b"foo", b"bar"]
    assert framing.damage == [Damage(7, 7, DamageKind.BAD_TYPE, range(0))]


def test_a_last_record_without_its_last_bytes_is_a_torn_tail() -> None:
    """The record before is kept, the tail is named torn, from its header on."""
    log = framed(b"foo", b"barbaz")
    assert _read(log[:-4]) == ([b"foo"], [(17, 9, DamageKind.TORN)])


def test_a_length_that_leads_out_of_the_block_costs_nothing_when_the_checksum_finds_the_end() -> None:
    """The length is not covered by the checksum: the next true chunk says where the payload ends."""
    log = framed(_big(b"bar", 20_000), b"foo", b"end")
    log[7 + 5] ^= 0x80
    assert _read(log) == ([_big(b"bar", 20_000), b"foo", b"end"], [(7, 7, DamageKind.BAD_LENGTH)])


def test_a_length_that_leads_out_of_the_block_with_a_hurt_payload_costs_that_record() -> None:
    """Nothing is believed whose checksum fails."""
    log = framed(_big(b"bar", 20_000), b"foo", b"end")
    log[7 + 5] ^= 0x80
    log[100] ^= 1
    assert _read(log) == ([b"foo", b"end"], [(7, 20_007, DamageKind.BAD_LENGTH)])


def test_a_record_that_ends_a_file_too_early_is_torn_even_when_only_one_byte_lacks() -> None:
    """A length that leads to the byte behind the file's end."""
    log = framed(b"foo")
    assert _read(log[:-1]) == ([], [(7, 9, DamageKind.TORN)])


def test_a_checksum_mismatch_costs_that_record_only() -> None:
    """LevelDB drops the rest of the block here."""
    log = framed(b"foo", b"bar", b"baz")
    log[7 + 7] ^= 0xFF
    assert _read(log) == ([b"bar", b"baz"], [(7, 10, DamageKind.BAD_CHECKSUM)])


def test_a_middle_without_a_first_is_an_orphan() -> None:
    """A lone MIDDLE chunk is no record."""
    assert _read(_HEADER + chunk(MIDDLE, b"foo")) == ([], [(7, 10, DamageKind.ORPHAN)])


def test_a_last_without_a_first_is_an_orphan() -> None:
    """A lone LAST chunk is no record."""
    assert _read(_HEADER + chunk(LAST, b"foo") + chunk(FULL, b"bar")) == ([b"bar"], [(7, 10, DamageKind.ORPHAN)])


def test_a_full_record_after_a_first_ends_that_as_lost() -> None:
    """A writer that appends after a tear: its record is not glued to the torn one."""
    log = _HEADER + chunk(FIRST, b"foo") + chunk(FULL, b"bar")
    assert _read(log) == ([b"bar"], [(7, 10, DamageKind.ORPHAN)])


def test_a_first_after_a_first_ends_that_as_lost() -> None:
    """The same for a record of several chunks. (The Go reader glues these two together.)"""
    log = _HEADER + chunk(FIRST, b"foo") + chunk(FIRST, b"bar") + chunk(LAST, b"baz")
    assert _read(log) == ([b"barbaz"], [(7, 10, DamageKind.ORPHAN)])


def test_a_missing_last_at_the_end_is_a_torn_tail() -> None:
    """The Go engine's signature: the file ends with a block, in the middle of a record."""
    log = framed(_big(b"bar", 50_000))[:_BLOCK]
    assert _read(log) == ([], [(7, _BLOCK - 7, DamageKind.TORN)])


def test_a_partial_last_at_the_end_is_a_torn_tail() -> None:
    """The Python engine's signature: a chunk's header and not all of its payload."""
    log = framed(b"foo", _big(b"bar", 50_000))[:-1]
    assert _read(log) == ([b"foo"], [(17, len(log) - 17, DamageKind.TORN)])


def test_a_start_inside_a_long_record_finds_the_next_one() -> None:
    """Its remaining chunks are orphans."""
    records = [_big(b"foo", 3 * _BLOCK), b"correct"]
    found, damage = _read(framed(*records), start=_BLOCK)
    assert found == [b"correct"]
    assert [kind for _, _, kind in damage] == [DamageKind.ORPHAN]


def test_an_error_in_the_middle_does_not_join_two_records() -> None:
    """FIRST(R1), LAST(R1), FIRST(R2), LAST(R2) with the two in the middle destroyed: neither record comes out."""
    log = framed(_big(b"foo", _BLOCK), _big(b"bar", _BLOCK), b"correct")
    log[_BLOCK : 2 * _BLOCK] = b"x" * _BLOCK
    found, damage = _read(log)
    assert found == [b"correct"]
    assert damage == [(7, log.index(b"correct") - 7 - 7, DamageKind.BAD_TYPE)]


_OFFSET_RECORDS = [b"a" * 10_000, b"b" * 10_000, b"c" * (2 * _BLOCK - 1000), b"d", b"e" * (_BLOCK - 7)]


def _offsets() -> list[int]:
    file = io.BytesIO()
    writer = LogWriter(file)
    return [writer.write(record) for record in _OFFSET_RECORDS]


@pytest.mark.parametrize(
    ("start", "first"),
    [
        pytest.param(7, 0, id="start"),
        pytest.param(8, 1, id="one byte into the first record"),
        pytest.param(10_000, 1, id="near the end of the first record"),
        pytest.param(7 + 10_007, 1, id="start of the second"),
        pytest.param(7 + 10_008, 2, id="one byte into the second"),
        pytest.param(7 + 20_014, 2, id="start of the third"),
        pytest.param(7 + 20_015, 3, id="one byte into the third"),
        pytest.param(_BLOCK - 4, 3, id="end of the first block"),
        pytest.param(_BLOCK + 1, 3, id="in the middle of the third"),
        pytest.param(2 * _BLOCK + 1, 3, id="in the last block of the third"),
        pytest.param(_offsets()[3], 3, id="start of the fourth"),
        pytest.param(_offsets()[4], 4, id="start of the fifth"),
        pytest.param(_offsets()[4] + 1, 5, id="past the last start"),
        pytest.param(len(framed(*_OFFSET_RECORDS)), 5, id="end"),
        pytest.param(len(framed(*_OFFSET_RECORDS)) + 5, 5, id="behind the end"),
    ],
)
def test_reading_from_anywhere_gives_the_records_that_start_behind(start: int, first: int) -> None:
    """Whatever byte reading starts from, the first record is the next one that begins there or later."""
    assert _read(framed(*_OFFSET_RECORDS), start=start)[0] == _OFFSET_RECORDS[first:]


def test_reading_from_a_zero_fill_gives_the_next_record() -> None:
    """A start inside the fill at a block's end."""
    log = framed(_big(b"foo", _BLOCK - 7 - 7 - 5), b"bar")
    assert _read(log, start=_BLOCK - 3) == ([b"bar"], [])


@pytest.mark.parametrize("zeros", [7, 100, 40_000])
def test_zeros_at_the_end_are_named_zeros(zeros: int) -> None:
    """Space that was reserved and never written (the official reader takes it, too)."""
    log = framed(b"foo", b"bar")
    assert _read(log + bytes(zeros)) == ([b"foo", b"bar"], [(len(log), zeros, DamageKind.ZEROED)])


def test_a_zeroed_block_in_the_middle_costs_what_lies_in_it() -> None:
    """The records that touch it are lost, all others are read."""
    records = [_big(_number(index), 1000) for index in range(100)]
    file = io.BytesIO()
    writer = LogWriter(file)
    offsets = [writer.write(record) for record in records]
    log = bytearray(file.getvalue())
    log[_BLOCK : 2 * _BLOCK] = bytes(_BLOCK)
    kept = [
        record
        for record, start, end in zip(records, offsets, [*offsets[1:], len(log)], strict=True)
        if end <= _BLOCK or start >= 2 * _BLOCK
    ]
    found, damage = _read(log)
    assert found == kept
    assert [kind for _, _, kind in damage] == [DamageKind.ZEROED]


def test_bytes_behind_the_log_are_named_appended() -> None:
    """Something that was never a chunk, after the last whole record."""
    log = framed(b"foo")
    assert _read(log + b"rsync: connection unexpectedly closed\n") == (
        [b"foo"],
        [(len(log), 38, DamageKind.APPENDED)],
    )


def test_a_second_log_in_the_file_is_named_and_read() -> None:
    """Framing reads on behind a second file header, on the grid that starts there."""
    first, second = [_big(b"one", 50_000)], [_big(b"two", 90_000), b"end"]
    log = framed(*first) + framed(*second)
    assert _read(log) == ([*first, *second], [(len(framed(*first)), 7, DamageKind.SECOND_HEADER)])


def test_blocks_that_do_not_count_the_file_header_are_read_whole() -> None:
    """The Go engine before 0.17.6: every block lies seven bytes later."""
    file = io.BytesIO()
    writer = LogWriter(file)
    writer.size = 0
    records = [_big(_number(index), 317) for index in range(1000)]
    for record in records:
        writer.write(record)
    assert grid_base(io.BytesIO(file.getvalue())) == 7
    assert _read(file.getvalue()) == (records, [])


def test_a_missing_page_shifts_the_grid_and_costs_two_records_at_most() -> None:
    """4 KiB cut out of the middle: every block after it lies elsewhere and is read all the same."""
    records = [_big(_number(index), 300) for index in range(2000)]
    log = framed(*records)
    cut = 5 * 4096
    found, _ = _read(log[:cut] + log[cut + 4096 :])
    lost = set(records) - set(found)
    assert found == [record for record in records if record not in lost]
    assert len(lost) <= 4096 // 307 + 2


def test_a_true_chunk_inside_a_hurt_record_is_not_taken_for_a_record() -> None:
    """A payload that holds the bytes of a log: its own length leads past them to the next record."""
    inner = bytes(framed(b"not a record of this log"))[7:]
    log = framed(b"before", b"payload " + inner + b" payload", b"after")
    log[7 + 13 + 8] ^= 1
    assert _read(log)[0] == [b"before", b"after"]


@pytest.mark.parametrize("size", range(9))
def test_files_of_up_to_a_header_and_one_byte_hold_nothing(size: int) -> None:
    """0 to 7 bytes of the header, and one byte more."""
    found, damage = _read((_HEADER + b"\x01")[:size])
    assert found == []
    assert [kind for _, _, kind in damage] == ([DamageKind.TORN] if size == 8 else [])
