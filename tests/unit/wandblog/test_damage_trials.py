"""Many damages, each reproducible by its seed: what is lost is little, and nothing that comes out is wrong."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from backhaul.wandblog import DamageKind, LogReader

Make = Callable[..., bytes]
Save = Callable[[bytes], Path]

_RECORDS = 14_000
_FLIPS = 500
_PAGES = 60


@pytest.fixture(scope="module")
def long_records(record: Make) -> list[bytes]:
    """A log of 14,000 records: rows of 40 to 200 bytes, each with content of its own."""
    chance = random.Random(20261122)
    rows = [
        record(number, f"row {number} ".ljust(chance.randrange(10, 170), chr(97 + number % 26)))
        for number in range(2, _RECORDS)
    ]
    return [record(1, header="0.31.0"), *rows, record(_RECORDS, exit=0)]


@pytest.fixture(scope="module")
def long_log(long_records: list[bytes], framed: Make) -> bytes:
    return framed(*long_records)


def _read(path: Path) -> tuple[list[bytes], LogReader]:
    reader = LogReader(path)
    return [record.data for record in reader], reader


def test_flipped_bits_cost_the_record_that_they_hit(long_records: list[bytes], framed: Make, saved: Save) -> None:
    """500 logs with one flipped bit each: at most one record lost each, 0.02 % of all on average, none wrong.

    A reader that stops there loses half a log on average, one that skips to the next block 1.1 %.
    """
    # A flip sees only its neighbourhood: 1,000 records around it are read as a log of their own, which keeps 500 short.
    chance = random.Random(3)
    lost_in_all = 0
    for seed in range(_FLIPS):
        start = chance.randrange(0, _RECORDS - 1000)
        part = long_records[start : start + 1000]
        log = bytearray(framed(*part))
        bit = chance.randrange(8 * len(log))
        log[bit // 8] ^= 1 << bit % 8
        found, reader = _read(saved(log))
        lost, kept = len(part) - len(found), set(found)
        assert found == [data for data in part if data in kept], seed
        assert 0 <= lost <= 1, seed
        assert len(reader.damage) <= 2, seed
        lost_in_all += lost
    assert lost_in_all / _FLIPS / _RECORDS <= 0.0002


def test_flipped_bits_in_the_whole_log(long_log: bytes, long_records: list[bytes], saved: Save) -> None:
    """The same on the log as a whole, where damage and loss are also told by number."""
    chance = random.Random(5)
    position = {data: index for index, data in enumerate(long_records)}
    for seed in range(8):
        log = bytearray(long_log)
        bit = chance.randrange(8 * len(log))
        log[bit // 8] ^= 1 << bit % 8
        found, reader = _read(saved(log))
        assert [position[data] for data in found] == sorted({position[data] for data in found}), seed
        assert _RECORDS - len(found) == reader.lost_records, seed


@pytest.mark.soak
def test_five_hundred_flipped_bits_in_the_whole_log(long_log: bytes, long_records: list[bytes], saved: Save) -> None:
    """Nothing left out, the file header neither: the mean loss is at most 0.02 % of 14,000 records."""
    chance = random.Random(7)
    lost = []
    for seed in range(_FLIPS):
        log = bytearray(long_log)
        bit = chance.randrange(8 * len(log))
        log[bit // 8] ^= 1 << bit % 8
        found, reader = _read(saved(log))
        kept = set(found)
        assert found == [data for data in long_records if data in kept], seed
        lost.append(_RECORDS - len(found))
        assert reader.lost_records == lost[-1], seed
    print(f"{_FLIPS} flips: {sum(lost)} records lost, at most {max(lost)}, mean {sum(lost) / _FLIPS / _RECORDS:.5%}")
    assert sum(lost) / _FLIPS / _RECORDS <= 0.0002


def _zeroed(log: bytes, page: int, size: int, _: random.Random) -> bytes:
    return log[:page] + bytes(size) + log[page + size :]


def _random(log: bytes, page: int, size: int, chance: random.Random) -> bytes:
    return log[:page] + chance.randbytes(size) + log[page + size :]


def _missing(log: bytes, page: int, size: int, _: random.Random) -> bytes:
    return log[:page] + log[page + size :]


def _twice(log: bytes, page: int, size: int, _: random.Random) -> bytes:
    return log[: page + size] + log[page:]


def _over_its_neighbour(log: bytes, page: int, size: int, _: random.Random) -> bytes:
    return log[: page + size] + log[page : page + size] + log[page + 2 * size :]


def _swapped(log: bytes, page: int, size: int, chance: random.Random) -> bytes:
    other = page + size * chance.randrange(1, 20)
    one, two = log[page : page + size], log[other : other + size]
    return log[:page] + two + log[page + size : other] + one + log[other + size :]


@pytest.mark.parametrize("size", [512, 4096, 32768])
@pytest.mark.parametrize("damage", [_zeroed, _random, _missing, _twice, _over_its_neighbour, _swapped])
def test_pages_that_are_not_what_they_were(
    damage: Callable[[bytes, int, int, random.Random], bytes],
    size: int,
    long_records: list[bytes],
    framed: Make,
    saved: Save,
) -> None:
    """A page of a disk or file system: no wrong record, none twice, and at most the hit pages' records are lost."""
    part = long_records[:2500]
    position = {data: index for index, data in enumerate(part)}
    log = framed(*part)
    pages = 2 if damage is _swapped else 1
    for seed in range(_PAGES // 12):
        chance = random.Random(seed)
        page = size * chance.randrange(1, (len(log) - 21 * size) // size) if len(log) > 25 * size else size
        found, reader = _read(saved(damage(log, page, size, chance)))
        assert all(data in position for data in found), seed
        assert len(set(found)) == len(found), seed
        if damage is not _swapped:
            assert [position[data] for data in found] == sorted(position[data] for data in found), seed
        # The shortest record takes some 60 bytes; two more lie across the page's edges.
        assert len(part) - len(found) <= pages * (size // 50 + 3), seed
        assert (reader.lost_records or 0) == max(map(position.__getitem__, found)) + 1 - len(found), seed
        assert reader.damage or len(found) == len(part), seed


def test_chunks_of_two_writers_in_one_file_are_never_joined(
    long_records: list[bytes], record: Make, framed: Make, saved: Save
) -> None:
    """Two processes that append flushed pieces of their logs in turn, at the same block positions."""
    other = [record(1, header="0.31.0"), *[record(number, f"other {number} ".ljust(150)) for number in range(2, 2000)]]
    one, two = framed(*long_records[:2000]), framed(*other)
    for seed in range(5):
        chance = random.Random(seed)
        mixed, first, second = b"", 0, 0
        while first < len(one) or second < len(two):
            step = chance.choice((512, 4096, 32768, 1000))
            mixed += one[first : first + step] + two[second : second + step]
            first, second = first + step, second + step
        found, reader = _read(saved(mixed))
        assert set(found) <= {*long_records, *other}, seed
        assert DamageKind.SECOND_HEADER in {damage.kind for damage in reader.damage}, seed
