"""Records whose numbers are compared a batch at a time come out as if each had been looked at by itself."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backhaul.wandblog import DamageKind, LogReader, framing
from backhaul.wandblog.chunk import FIRST, FULL, LAST, chunk
from backhaul.wandblog.ownership import Ownership
from backhaul.wandblog.schema import Record

_PAGE, _BLOCK = 4096, 32768
# First and later reads. With the last ones every window's last record is one that goes over a block's end.
_WINDOWS = [(70_000, 70_000), (100_001, 98_304), (256 << 10, 512 << 10), (3 * _BLOCK + 10, 3 * _BLOCK)]


def _log(framed: Callable[..., bytes], record: Callable[..., bytes], chance: random.Random) -> bytearray:
    """A log of several windows: rows, some of many blocks, other types between them; numbered or not; ended or not."""
    numbered = chance.random() < 0.8
    made = [record(int(numbered), header="0.31.0")]
    for number in range(2, 700):
        kind = chance.choice(["history", "history", "history", "history", "summary", "stats", "unknown"])
        message = Record(num=number * numbered)
        if kind == "stats":
            message.stats.stats_type = 0
            message.stats.item.add(key="cpu", value_json=b"1")
        elif kind != "unknown":
            setattr(message, kind, chance.randbytes(chance.choice([20, 300, 300, 300, 900, 40_000])))
        made.append(message.SerializeToString())
    if chance.random() < 0.5:
        made.append(record(700 * numbered, exit=0))
    return bytearray(framed(*made))


def _whole(log: bytearray, _: random.Random) -> bytes:
    return bytes(log)


def _flipped(log: bytearray, chance: random.Random) -> bytes:
    for _ in range(3):
        log[chance.randrange(7, len(log))] ^= 1 << chance.randrange(8)
    return bytes(log)


def _missing(log: bytearray, chance: random.Random) -> bytes:
    page = chance.randrange(1, len(log) // _PAGE) * _PAGE
    return bytes(log[:page] + log[page + _PAGE * chance.choice([1, 8, 16]) :])


def _without_a_block(log: bytearray, chance: random.Random) -> bytes:
    block = (1 + 3 * chance.randrange(len(log) // _BLOCK // 3)) * _BLOCK
    return bytes(log[:block] + log[block + _BLOCK :])


def _twice(log: bytearray, chance: random.Random) -> bytes:
    page = chance.randrange(1, len(log) // _PAGE) * _PAGE
    return bytes(log[: page + 8 * _PAGE] + log[page:])


def _with_another(log: bytearray, chance: random.Random) -> bytes:
    page = chance.randrange(1, len(log) // _PAGE) * _PAGE
    return bytes(log[:page] + log[: page // 2] + log[page:])


def _everything(path: Path) -> tuple[Any, ...]:
    reader = LogReader(path)
    records = [(record.offset, record.data, record.kind, record.number) for record in reader]
    return records, reader.damage, reader.end, reader.producer, reader.lost_records, reader.size


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("harm", [_whole, _flipped, _missing, _without_a_block, _twice, _with_another])
def test_a_batch_in_step_is_what_its_records_are(
    harm: Callable[[bytearray, random.Random], bytes],
    seed: int,
    framed: Callable[..., bytes],
    record: Callable[..., bytes],
    saved: Callable[[bytes], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whole and damaged logs, read in windows of many sizes: the same records, and the same is told of the damage.

    Whatever the windows are, too.
    """
    chance = random.Random(seed)
    path = saved(harm(_log(framed, record, chance), chance))
    in_step: list[bool] = []
    watch = Ownership._is_in_step
    monkeypatch.setattr(Ownership, "_is_in_step", lambda *each: in_step.append(watch(*each)) or in_step[-1])
    expected = _everything(path)
    for first, later in _WINDOWS:
        monkeypatch.setattr(framing, "_FIRST_READ", first)
        monkeypatch.setattr(framing, "_READ", later)
        fast = _everything(path)
        assert fast == expected
        with monkeypatch.context() as patch:
            patch.setattr(Ownership, "_is_in_step", lambda *_: False)
            assert _everything(path) == fast
    assert any(in_step)
    assert not all(in_step)


def test_parts_of_two_records_at_a_windows_end_are_not_joined(
    record: Callable[..., bytes], saved: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number that shows it stands in the next window, so the last record of a window waits for it."""
    one, other = record(302, "one".ljust(200)), record(308, "two".ljust(200))
    rows = [chunk(FULL, record(number, "row".ljust(300))) for number in range(2, 609)]
    start = b":W&B\xe1\xbe\x00" + chunk(FULL, record(1, header="0.31.0")) + b"".join(rows[:300])
    parts = chunk(FIRST, one[:150]), chunk(LAST, other[150:])
    path = saved(start + b"".join(parts) + b"".join(rows[307:]))
    monkeypatch.setattr(framing, "_FIRST_READ", 70_000)
    for more in range(-20, 20):
        # Some of these second windows end behind the header of the last part.
        monkeypatch.setattr(framing, "_READ", len(start) + len(parts[0]) + 65_542 - 70_000 + more)
        reader = LogReader(path)
        assert [each.number for each in reader] == [*range(1, 302), *range(309, 609)]
        assert [(damage.kind, damage.numbers) for damage in reader.damage] == [(DamageKind.ORPHAN, range(302, 309))]


@pytest.mark.parametrize("later", [(), (20,), (20, 21), (13, 20, 28)])
def test_a_record_of_several_chunks_outlives_damage_behind_it(
    later: tuple[int, ...],
    framed: Callable[..., bytes],
    record: Callable[..., bytes],
    saved: Callable[[bytes], Path],
) -> None:
    """The next number is missing because its record is hurt: no sign of joined parts, whatever is hurt later."""
    records = [record(1, header="0.31.0"), *(record(number, "row") for number in range(2, 30))]
    records[9] = record(10, "long".ljust(40_000))
    log = bytearray(framed(*records))
    hurt = (11, *later)
    for number in hurt:
        log[log.index(records[number - 1]) + 1] ^= 1
    reader = LogReader(saved(bytes(log)))
    assert [each.number for each in reader] == [number for number in range(1, 30) if number not in hurt]
    assert [number for damage in reader.damage for number in damage.numbers or ()] == list(hurt)
