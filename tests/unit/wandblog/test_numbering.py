"""What the records' own numbers tell: what is missing, what came late, and what is another log's."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from backhaul.wandblog import Damage, DamageKind, LogEnd, LogReader
from backhaul.wandblog.chunk import FIRST, FULL, LAST, chunk
from backhaul.wandblog.numbering import MOST_GAPS, Numbering, Place

Make = Callable[..., bytes]
Save = Callable[[bytes], Path]


def _log(record: Make, count: int, tag: str = "row") -> list[bytes]:
    """A log's records, from its header record on, numbered from 1."""
    return [record(1, header="0.31.0"), *[record(number, f"{tag} {number} ") for number in range(2, count + 1)]]


def _numbered(reader: LogReader) -> list[int]:
    return [each.message.num for each in reader]


@pytest.fixture
def read(framed: Make, saved: Save) -> Callable[..., LogReader]:
    """Frames the given records; the log's reader, not yet iterated."""

    def make(*records: bytes) -> LogReader:
        return LogReader(saved(framed(*records)))

    return make


Read = Callable[..., LogReader]


@pytest.mark.parametrize("place", range(1, 6))
def test_a_record_without_a_number_among_numbered_ones_changes_nothing(place: int, record: Make, read: Read) -> None:
    """Wherever it stands, it is given out and nothing counts as missing."""
    records = _log(record, 6)
    records.insert(place, record(0, "without"))
    reader = read(*records)
    assert [each.data for each in reader] == records
    assert (reader.damage, reader.lost_records) == ([], 0)


def test_a_record_without_a_number_at_the_start_hides_no_gap(record: Make, read: Read) -> None:
    """The first number is 1, whatever came before it."""
    reader = read(record(0, "without"), record(3, "three"), record(4, "four"))
    assert _numbered(reader) == [0, 3, 4]
    assert [(damage.kind, damage.numbers) for damage in reader.damage] == [(DamageKind.NUMBER_GAP, range(1, 3))]


def test_records_that_come_late_are_not_missing(record: Make, read: Read) -> None:
    """A number from the middle of a gap leaves the numbers on both its sides missing, and other gaps as they are."""
    records = _log(record, 20)
    reader = read(*records[:4], *records[9:14], records[16], records[6], *records[17:])
    assert _numbered(reader) == [1, 2, 3, 4, 10, 11, 12, 13, 14, 17, 7, 18, 19, 20]
    assert [damage.numbers for damage in reader.damage] == [range(5, 7), range(8, 10), range(15, 17)]


@pytest.mark.parametrize("seed", range(10))
def test_records_in_any_order_are_all_there_or_counted(seed: int, record: Make, read: Read) -> None:
    """Shuffled and thinned out: given out are those that are there, and just those that are not count as lost."""
    chance = random.Random(seed)
    records = _log(record, 60)
    kept = [records[0], *chance.sample(records[1:-1], 30), records[-1]]
    reader = read(*kept)
    assert [each.data for each in reader] == kept
    missing = {number for damage in reader.damage for number in damage.numbers or ()}
    assert missing == {number for number, data in enumerate(records, 1) if data not in kept}
    assert reader.lost_records == len(records) - len(kept)


def test_a_number_that_was_missing_is_the_log_s_own_when_it_comes() -> None:
    """And when it comes again, it was there before."""
    numbering = Numbering()
    numbering.expected = 3
    assert numbering.place(300, 8, 200) is Place.OWN
    assert numbering.place(400, 5, 300) is Place.OWN
    assert numbering.place(500, 5, 400) is Place.SEEN
    assert numbering.expected == 9


def test_two_damages_between_the_same_two_records_share_what_is_lost(record: Make, framed: Make, saved: Save) -> None:
    """Each lost record is counted once."""
    records = _log(record, 9)
    log = bytearray(framed(*records[:4], b"\xff\xff\xff", *records[5:]))
    log[log.index(b"row 6 ")] ^= 1
    reader = LogReader(saved(log))
    assert _numbered(reader) == [1, 2, 3, 4, 7, 8, 9]
    assert [(damage.kind, damage.numbers) for damage in reader.damage] == [
        (DamageKind.UNDECODABLE, range(5, 7)),
        (DamageKind.BAD_CHECKSUM, range(0)),
    ]
    assert reader.lost_records == 2


def test_past_ten_thousand_gaps_the_count_stays_right() -> None:
    """Memory is bounded: the last gap stands for all later ones, with as many numbers as are missing."""
    numbering = Numbering()
    for index in range(MOST_GAPS + 50):
        # Numbers 3, 6, 9…: two are missing before each.
        assert numbering.place(100 * (index + 1), 3 * (index + 1), 100 * index) is Place.OWN
    gaps = list(numbering.explain([], 10**9))
    assert MOST_GAPS == len(gaps) == 10_000
    assert sum(len(gap.numbers or ()) for gap in gaps) == 2 * (MOST_GAPS + 50)
    assert gaps[-1].numbers is not None
    assert (gaps[-1].numbers.stop, gaps[-1].offset) == (3 * (MOST_GAPS + 50), 100 * (MOST_GAPS + 50))
    assert gaps[-2] == Damage(100 * (MOST_GAPS - 1), 0, DamageKind.NUMBER_GAP, range(29_995, 29_997))


def test_late_records_do_not_make_more_gaps_than_are_kept() -> None:
    """One long gap that is filled at every other place falls apart into 10,000 at most, and too much counts as lost."""
    numbering = Numbering()
    numbering.place(100, 60_001, 0)
    for number in range(60_000, 0, -2):
        assert numbering.place(60_200 - number, number, 100) is Place.OWN
    gaps = list(numbering.explain([], 10**9))
    assert len(gaps) == 10_000
    assert 30_000 < sum(len(gap.numbers or ()) for gap in gaps) < 60_000


@pytest.mark.parametrize("first", [2, 3, 19, 20, 21, 100])
def test_a_second_log_is_not_taken_for_the_rest_of_the_first(first: int, record: Make, read: Read) -> None:
    """Whether the first one is shorter or longer."""
    one, two = _log(record, first), _log(record, 40, tag="other")
    reader = read(*one, *two)
    assert [each.data for each in reader] == one
    assert [damage.kind for damage in reader.damage] == [DamageKind.SECOND_HEADER]
    assert reader.damage[0].end == reader.size


@pytest.mark.parametrize(
    ("cuts", "skipped"),
    [
        pytest.param([(50, 20), (70, 60), (90, 60)], [], id="the first one is ahead"),
        pytest.param([(10, 20), (15, 40), (90, 60)], [], id="the second one is ahead"),
        pytest.param([(15, 20), (15, 60), (90, 60)], [20, 21], id="the second one lacks records, and is ahead"),
        pytest.param([(50, 10), (50, 20), (90, 60)], [10, 11], id="the second one lacks records, and is behind"),
    ],
)
def test_two_writers_that_take_turns_are_told_apart_by_their_numbers(
    cuts: list[tuple[int, int]], skipped: list[int], record: Make, read: Read
) -> None:
    """A record belongs to the log whose next number it has or which it is nearest to; in doubt to the one at hand."""
    one, two = _log(record, 90), _log(record, 60, tag="other")
    mixed: list[bytes] = []
    first = second = 0
    for until, other_until in cuts:
        mixed += one[first:until]
        mixed += [two[index] for index in range(second, other_until) if index not in skipped]
        first, second = until, other_until
    reader = read(*mixed)
    assert [each.data for each in reader] == one
    assert {damage.kind for damage in reader.damage} == {DamageKind.SECOND_HEADER}
    assert reader.lost_records == 0 or reader.damage[-1].end == reader.size


def test_what_is_missing_behind_another_log_is_counted(record: Make, read: Read) -> None:
    """The first log goes on behind a part of another one, and lacks records there."""
    one, two = _log(record, 80), _log(record, 20, tag="other")
    reader = read(*one[:50], *two, *one[55:])
    assert _numbered(reader) == [*range(1, 51), *range(56, 81)]
    assert [(damage.kind, damage.numbers) for damage in reader.damage] == [(DamageKind.SECOND_HEADER, range(51, 56))]
    assert reader.lost_records == 5


def test_a_record_that_is_none_takes_back_what_its_number_told(record: Make, saved: Save) -> None:
    """Record 3 is missing, and the one after it was put together from the halves of 4 and 9."""
    one, other = record(4, "one".ljust(200)), record(9, "two".ljust(200))
    log = b":W&B\xe1\xbe\x00" + chunk(FULL, record(1, header="0.31.0")) + chunk(FULL, record(2, "start"))
    log += chunk(FIRST, one[:150]) + chunk(LAST, other[150:]) + chunk(FULL, record(10, "three"))
    reader = LogReader(saved(log))
    assert _numbered(reader) == [1, 2, 10]
    assert [(damage.kind, damage.numbers) for damage in reader.damage] == [(DamageKind.ORPHAN, range(3, 10))]


def _with_run(record: Make, count: int, run_id: str, size: int = 200) -> list[bytes]:
    rows = [record(number, f"{run_id} {number} ".ljust(size)) for number in range(3, count)]
    return [record(1, header="0.31.0"), record(2, run=run_id), *rows, record(count, exit=0)]


@pytest.mark.parametrize("page", [60, 512, 4096, 32768])
def test_the_first_page_twice_costs_nothing(page: int, record: Make, framed: Make, saved: Save) -> None:
    """The head of a log behind itself is not another log: its own run record says so."""
    records = _with_run(record, 600, "own")
    log = framed(*records)
    reader = LogReader(saved(log[:page] + log))
    assert [each.data for each in reader] == records
    assert (reader.losses, reader.lost_records, reader.end) == ([], 0, LogEnd.COMPLETE)
    kinds = {damage.kind for damage in reader.damage}
    assert DamageKind.REPEATED in kinds
    assert DamageKind.SECOND_HEADER not in kinds


def test_a_log_that_is_in_its_file_twice_heals_itself(record: Make, framed: Make, saved: Save) -> None:
    """What is hurt in one copy is taken from the other, also far behind; nothing is given out twice."""
    records = _with_run(record, 2500, "own", size=3000)
    log = framed(*records)
    hurt = bytearray(log)
    hurt[log.index(b"own 1000 ")] ^= 1
    again = bytearray(log)
    again[log.index(b"own 2000 ")] ^= 1
    reader = LogReader(saved(hurt + again))
    found = [each.data for each in reader]
    assert sorted(found) == sorted(records)
    assert (reader.losses, reader.lost_records) == ([], 0)


def test_another_run_in_the_same_file_is_foreign_though_its_header_record_is_the_same(
    record: Make, framed: Make, saved: Save
) -> None:
    """The header record names the SDK only; the run record tells the run."""
    one, two = _with_run(record, 100, "one"), _with_run(record, 80, "two")
    reader = LogReader(saved(framed(*one) + framed(*two)))
    assert [each.data for each in reader] == one
    assert [damage.kind for damage in reader.damage] == [DamageKind.SECOND_HEADER]


def test_countless_turns_of_two_writers_leave_a_short_list() -> None:
    """Memory is bounded: past 10,000 foreign stretches the last one stands for the rest."""
    numbering = Numbering()
    numbering.expected = 50_000
    for turn in range(1, 10_501):
        assert numbering.place(10 * turn + 1, 1, 10 * turn, is_header=True) is Place.FOREIGN
        assert numbering.place(10 * turn + 5, 50_000 + turn, 10 * turn) is Place.OWN
    numbering.finish(200_000)
    assert len(numbering.foreign) == 10_000
    assert numbering.foreign[-1].end == 10 * 10_500 + 5
