"""How a log ends, what its record numbers tell, and what may be missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from backhaul.errors import NotAWandbLog, UnreadableFile
from backhaul.wandblog import Damage, DamageKind, LogEnd, LogReader
from backhaul.wandblog.chunk import FIRST, FULL, LAST, chunk

_BLOCK = 32768
Make = Callable[..., bytes]
Save = Callable[[bytes], Path]


def _numbers(reader: LogReader) -> list[int]:
    return [record.message.num for record in reader]


def _rows(record: Make, first: int, last: int, size: int = 300, tag: str = "row") -> list[bytes]:
    return [record(number, f"{tag} {number} ".ljust(size, ".")) for number in range(first, last + 1)]


def _log_of(framed: Make, record: Make, last: int, tag: str = "row") -> bytes:
    head = record(1, header="0.31.0+abc")
    return framed(head, *_rows(record, 2, last - 1, tag=tag), record(last, exit=0))


def test_a_whole_log_is_complete(record: Make, framed: Make, saved: Save) -> None:
    """With an exit record and no damage there is nothing to tell."""
    reader = LogReader(saved(_log_of(framed, record, 200)))
    assert _numbers(reader) == list(range(1, 201))
    assert (reader.end, reader.damage, reader.losses, reader.lost_records, reader.tear) == (
        LogEnd.COMPLETE,
        [],
        [],
        0,
        None,
    )
    assert reader.producer == "0.31.0+abc"
    assert reader.size == reader.path.stat().st_size


def test_records_carry_their_bytes_and_kind(record: Make, framed: Make, saved: Save) -> None:
    """The raw bytes are those written; a type newer than this reader has no kind and is given out all the same."""
    unknown = b"\x08\x03\xba\x3e\x02hi"
    records = list(LogReader(saved(framed(record(1, header="x"), record(2, "a"), unknown, record(4, exit=3)))))
    assert [each.kind for each in records] == ["header", "history", None, "exit"]
    assert [each.data for each in records[1:3]] == [record(2, "a"), unknown]
    assert records[3].message.exit.exit_code == 3


@pytest.mark.parametrize("size", range(7))
def test_a_file_shorter_than_its_header_is_empty(size: int, saved: Save) -> None:
    """0 bytes, or a part of the file header."""
    reader = LogReader(saved(b":W&B\xe1\xbe\x00"[:size]))
    assert list(reader) == []
    assert (reader.end, reader.size) == (LogEnd.EMPTY, size)
    assert reader.tear is not None
    assert "Nothing was written" in reader.tear.sentence


def test_a_header_without_records_says_what_never_reached_the_disk(recorded: Callable[[str], Path]) -> None:
    """The Go engine writes the file header at once and the first block when it is full."""
    reader = LogReader(recorded("header-only"))
    assert list(reader) == []
    assert reader.end is LogEnd.HEADER_ONLY
    assert reader.tear is not None
    assert (reader.tear.writer, reader.tear.at_most_bytes) == ("Go engine", _BLOCK)


@pytest.mark.parametrize(
    ("name", "writer", "seconds"),
    [
        ("0.12.21-killed", "Python engine", None),
        ("0.17.9-killed", "Python engine", None),
        ("0.22.3-killed", "Go engine up to 0.30", None),
        ("0.28.2-killed", "Go engine up to 0.30", None),
        ("0.31.0-killed", "Go engine from 0.31 on", 15),
    ],
)
def test_the_tear_of_a_killed_run_names_its_writer(
    name: str, writer: str, seconds: int | None, recorded: Callable[[str], Path]
) -> None:
    """Which engine wrote decides how much of the newest data may be missing, and that is no loss inside the log."""
    reader = LogReader(recorded(name))
    assert len(list(reader)) > 200
    assert reader.end in (LogEnd.TORN, LogEnd.NO_EXIT)
    assert {damage.kind for damage in reader.damage} <= {DamageKind.TORN}
    assert (reader.losses, reader.lost_records) == ([], 0)
    assert reader.tear is not None
    assert (reader.tear.writer, reader.tear.at_most_bytes, reader.tear.at_most_seconds) == (writer, _BLOCK, seconds)


def test_a_log_that_ends_between_records_has_no_exit(record: Make, framed: Make, saved: Save) -> None:
    """The timed flush of 0.31 leaves whole records at the end."""
    reader = LogReader(saved(framed(record(1, header="0.31.0"), *_rows(record, 2, 9))))
    assert _numbers(reader) == list(range(1, 10))
    assert (reader.end, reader.damage) == (LogEnd.NO_EXIT, [])
    assert reader.tear is not None
    assert reader.tear.at_most_seconds == 15


def test_a_log_of_whole_blocks_that_ends_inside_one_was_cut(record: Make, framed: Make, saved: Save) -> None:
    """A kill leaves whole blocks with the Go engine up to 0.30; another size means a broken copy."""
    log = framed(record(1, header="0.28.2"), *_rows(record, 2, 300))
    reader = LogReader(saved(log[:50_000]))
    list(reader)
    assert reader.tear is not None
    assert reader.tear.at_most_bytes is None
    assert "cut" in reader.tear.sentence


def test_a_log_without_its_header_record_has_a_tear_of_an_unknown_writer(
    record: Make, framed: Make, saved: Save
) -> None:
    """The header record names the writer; without it nothing is claimed."""
    reader = LogReader(saved(framed(*_rows(record, 2, 9))))
    list(reader)
    assert reader.tear is not None
    assert (reader.producer, reader.tear.writer, reader.tear.at_most_bytes) == (None, "unknown", None)


def test_damage_in_the_middle_tells_the_numbers_that_it_cost(record: Make, framed: Make, saved: Save) -> None:
    """Records are numbered from SDK 0.13 on, so the loss is known exactly."""
    log = bytearray(_log_of(framed, record, 300))
    at = log.index(b"row 100 ")
    log[at] ^= 1
    reader = LogReader(saved(log))
    assert _numbers(reader) == [number for number in range(1, 301) if number != 100]
    (damage,) = reader.damage
    assert (damage.kind, damage.numbers) == (DamageKind.BAD_CHECKSUM, range(100, 101))
    assert damage.offset < at < damage.end
    assert (reader.losses, reader.lost_records, reader.end) == ([damage], 1, LogEnd.COMPLETE)


def test_two_damages_each_tell_their_own_numbers(record: Make, framed: Make, saved: Save) -> None:
    """A loss is told where it happened."""
    log = bytearray(_log_of(framed, record, 300))
    log[log.index(b"row 50 ")] ^= 1
    log[log.index(b"row 150 ") : log.index(b"row 160 ")] = bytes(log.index(b"row 160 ") - log.index(b"row 150 "))
    reader = LogReader(saved(log))
    list(reader)
    assert [damage.numbers for damage in reader.damage] == [range(50, 51), range(150, 161)]
    assert reader.lost_records == 12


def test_records_cut_out_without_a_trace_are_a_gap(record: Make, framed: Make, saved: Save) -> None:
    """Every byte that is left reads well; the numbers alone show what is missing."""
    records = [record(1, header="0.31.0"), *_rows(record, 2, 20)]
    reader = LogReader(saved(framed(*records[:10], *records[15:])))
    assert _numbers(reader) == [*range(1, 11), *range(16, 21)]
    (gap,) = reader.damage
    assert (gap.kind, gap.length, gap.numbers) == (DamageKind.NUMBER_GAP, 0, range(11, 16))
    assert (reader.losses, reader.lost_records) == ([gap], 5)


def test_damage_to_records_without_numbers_leaves_the_count_open(record: Make, framed: Make, saved: Save) -> None:
    """Up to SDK 0.12 all numbers are 0: a loss is told, its size is not made up."""
    log = bytearray(framed(record(0, header=""), *[record(0, f"row {index} ") for index in range(50)]))
    log[log.index(b"row 20 ")] ^= 1
    reader = LogReader(saved(log))
    assert len(list(reader)) == 50
    assert ([damage.numbers for damage in reader.losses], reader.lost_records) == ([None], None)


def test_a_missing_block_does_not_glue_two_records(record: Make, framed: Make, saved: Save) -> None:
    """Cut out exactly one block: the first part of one record meets the last part of another, both checksums hold."""
    log = _log_of(framed, record, 600)
    reader = LogReader(saved(log[:_BLOCK] + log[2 * _BLOCK :]))
    records = list(reader)
    original = {each.data for each in LogReader(saved(log))}
    assert {each.data for each in records} <= original
    assert [each.message.num for each in records][-1] == 600
    kinds = {damage.kind for damage in reader.damage}
    assert kinds & {DamageKind.ORPHAN, DamageKind.UNDECODABLE}
    assert reader.lost_records == 600 - len(records)


def test_a_glued_record_that_decodes_is_refused_by_its_number(record: Make, saved: Save) -> None:
    """The two halves fit so well that the result is a W&B record: only the gap behind it shows that it is none."""
    one, other, following = record(3, "one".ljust(200)), record(9, "two".ljust(200)), record(10, "three")
    log = b":W&B\xe1\xbe\x00" + chunk(FULL, record(1, header="0.31.0")) + chunk(FULL, record(2, "start"))
    log += chunk(FIRST, one[:150]) + chunk(LAST, other[150:]) + chunk(FULL, following)
    reader = LogReader(saved(log))
    assert _numbers(reader) == [1, 2, 10]
    assert [(damage.kind, damage.numbers) for damage in reader.damage] == [(DamageKind.ORPHAN, range(3, 10))]


def test_a_record_of_several_chunks_is_given_out_in_its_place(record: Make, framed: Make, saved: Save) -> None:
    """Also as the last one, and before another of its kind."""
    records = [record(1, header="0.31.0"), record(2, "x" * 100_000), record(3, "y" * 40_000), record(4, "z" * 40_000)]
    reader = LogReader(saved(framed(*records)))
    assert [each.data for each in reader] == records
    assert reader.damage == []


def test_a_record_of_several_chunks_before_damage_is_kept(record: Make, framed: Make, saved: Save) -> None:
    """A gap that a damage in between explains says nothing against the record before it."""
    records = [record(1, header="0.31.0"), record(2, "x" * 50_000), record(3, "hurt"), record(4, "end")]
    log = bytearray(framed(*records))
    log[log.index(b"hurt")] ^= 1
    reader = LogReader(saved(log))
    assert [each.data for each in reader] == [records[0], records[1], records[3]]
    assert [damage.numbers for damage in reader.damage] == [range(3, 4)]


def test_a_page_that_stands_there_twice_gives_its_records_once(record: Make, framed: Make, saved: Save) -> None:
    """The copies are byte for byte the same and are told, not given out again."""
    log = _log_of(framed, record, 600)
    reader = LogReader(saved(log[: 3 * _BLOCK] + log[2 * _BLOCK : 3 * _BLOCK] + log[3 * _BLOCK :]))
    assert _numbers(reader) == list(range(1, 601))
    assert DamageKind.REPEATED in {damage.kind for damage in reader.damage}
    assert (reader.losses, reader.lost_records) == ([], 0)


def test_a_second_number_with_other_content_is_given_out(record: Make, framed: Make, saved: Save) -> None:
    """A record that is whole and no copy is never dropped."""
    records = [record(1, header="0.31.0"), *_rows(record, 2, 5), record(3, "something else"), record(6, "end")]
    reader = LogReader(saved(framed(*records)))
    assert [each.data for each in reader] == records


def test_pages_in_the_wrong_order_lose_nothing_that_is_whole(record: Make, framed: Make, saved: Save) -> None:
    """Blocks 1 and 2 swapped: only the records that cross their edges are lost."""
    log = _log_of(framed, record, 600)
    swapped = log[:_BLOCK] + log[2 * _BLOCK : 3 * _BLOCK] + log[_BLOCK : 2 * _BLOCK] + log[3 * _BLOCK :]
    reader = LogReader(saved(swapped))
    records = list(reader)
    original = {each.data for each in LogReader(saved(log))}
    assert {each.data for each in records} <= original
    assert len(records) >= 600 - 4
    assert reader.lost_records == 600 - len(records)


def test_the_first_page_in_another_place_is_no_second_log(record: Make, framed: Make, saved: Save) -> None:
    """Blocks 0 and 2 swapped: the header comes late and fills a gap, so that the records behind it are the log's."""
    log = _log_of(framed, record, 600)
    first, second, third, rest = (
        log[:_BLOCK],
        log[_BLOCK : 2 * _BLOCK],
        log[2 * _BLOCK : 3 * _BLOCK],
        log[3 * _BLOCK :],
    )
    reader = LogReader(saved(third + second + first + rest))
    numbers = _numbers(reader)
    assert {1, 2} < set(numbers)
    assert len(set(numbers)) == len(numbers) >= 600 - 5
    assert reader.lost_records == 600 - len(numbers)


def test_the_records_of_a_second_log_are_not_given_out(record: Make, framed: Make, saved: Save) -> None:
    """Two logs in one file: the second one is told with its extent, from its file header to the end."""
    first, second = _log_of(framed, record, 100), _log_of(framed, record, 150, tag="other")
    reader = LogReader(saved(first + second))
    assert _numbers(reader) == list(range(1, 101))
    assert reader.damage == [Damage(len(first), len(second), DamageKind.SECOND_HEADER)]
    assert reader.losses == reader.damage


def test_two_writers_that_take_turns_are_told_apart(record: Make, framed: Make, saved: Save) -> None:
    """Whole stretches of two logs in one file: each record number says whose it is."""
    one = [record(1, header="0.31.0"), *_rows(record, 2, 90)]
    two = [record(1, header="0.31.0"), *_rows(record, 2, 60, tag="other")]
    mixed = one[:50] + two[:20] + one[50:70] + two[20:] + one[70:]
    reader = LogReader(saved(framed(*mixed)))
    assert [each.data for each in reader] == one
    assert [damage.kind for damage in reader.damage] == [DamageKind.SECOND_HEADER] * 2


def test_a_second_writer_without_numbers_is_recognised_by_its_header_record(
    record: Make, framed: Make, saved: Save
) -> None:
    """Up to SDK 0.12 the header record is all there is to go by."""
    one = [record(0, header=""), *[record(0, f"one {index}") for index in range(9)]]
    two = [record(0, header=""), *[record(0, f"two {index}") for index in range(9)]]
    reader = LogReader(saved(framed(*one) + framed(*two)))
    assert [each.data for each in reader] == one
    assert [damage.kind for damage in reader.damage] == [DamageKind.SECOND_HEADER]


def test_bytes_behind_the_exit_record_are_appended(record: Make, framed: Make, saved: Save) -> None:
    """The Go engine writes nothing after it, so even a few bytes are no torn record."""
    log = _log_of(framed, record, 20)
    reader = LogReader(saved(log + b"\n"))
    assert len(list(reader)) == 20
    assert reader.damage == [Damage(len(log), 1, DamageKind.APPENDED)]
    assert (reader.end, reader.losses, reader.tear) == (LogEnd.COMPLETE, [], None)


def test_a_record_with_a_true_checksum_that_does_not_decode_is_undecodable(
    record: Make, framed: Make, saved: Save
) -> None:
    """It costs that record alone."""
    log = framed(record(1, header="0.31.0"), b"\xff\xff\xff", record(3, "end"))
    reader = LogReader(saved(log))
    assert _numbers(reader) == [1, 3]
    assert [(damage.kind, damage.length, damage.numbers) for damage in reader.damage] == [
        (DamageKind.UNDECODABLE, 10, range(2, 3))
    ]


def test_zeros_behind_the_last_record_are_no_loss(record: Make, framed: Make, saved: Save) -> None:
    """In the middle of a log without numbers they are one."""
    records = [record(0, header=""), record(0, "a"), record(0, "b")]
    tail = LogReader(saved(framed(*records) + bytes(5000)))
    assert len(list(tail)) == 3
    assert (tail.losses, tail.end) == ([], LogEnd.NO_EXIT)
    assert [(damage.kind, damage.is_loss) for damage in tail.damage] == [(DamageKind.ZEROED, False)]
    log = bytearray(framed(*records, record(0, "c")))
    at = log.index(record(0, "b")) - 7
    log[at : at + 7 + len(record(0, "b"))] = bytes(7 + len(record(0, "b")))
    middle = LogReader(saved(log))
    assert len(list(middle)) == 3
    assert [damage.kind for damage in middle.losses] == [DamageKind.ZEROED]


def test_a_newer_format_version_is_read_with_a_note(record: Make, framed: Make, saved: Save) -> None:
    """The official reader refuses it."""
    log = bytearray(_log_of(framed, record, 20))
    log[6] = 3
    reader = LogReader(saved(log))
    assert len(list(reader)) == 20
    (note,) = reader.notes
    assert "version is 3" in note


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A folder by that name."""
    with pytest.raises(UnreadableFile, match="cannot be read"):
        list(LogReader(tmp_path))


def test_a_file_that_is_no_log_is_told(saved: Save) -> None:
    """By its first bytes, before anything is read."""
    with pytest.raises(NotAWandbLog, match="is not a W&B log: it is JSON text"):
        list(LogReader(saved(b'{"error": "not found"}')))
