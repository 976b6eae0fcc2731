"""A ledger that is open has room for what it has yet to remember, whoever fills the disk. The disk is a real one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backhaul.errors import DiskFull
from backhaul.runs.rows import Stream
from backhaul.sync import ledger_lock
from backhaul.sync.ledger import Ledger, read_ledger
from backhaul.sync.progress import begin_entry, lines_entry, no_lines

from ...small_disk import fill, small_disk

_TO = "https://a e/p/r"


def _lines(number: int) -> dict[Stream, int]:
    return {Stream.HISTORY: number, Stream.EVENTS: 0, Stream.OUTPUT: 0}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """One MiB."""
    with small_disk(tmp_path / "disk", 1) as place:
        (place / "run-abc.wandb").write_bytes(b":W&B and more")
        yield place


def _opened(disk: Path) -> Ledger:
    ledger = Ledger.open(disk / "run-abc.wandb", disk / "state")
    ledger.record(_TO, begin_entry(no_lines(), no_lines(), 0, False))
    return ledger


def _recorded(ledger: Ledger, numbers: range) -> int:
    for number in numbers:
        ledger.record(_TO, lines_entry(_lines(number)))
    return numbers[-1]


def test_a_ledger_goes_on_when_the_disk_is_full(disk: Path) -> None:
    """Some hundred acknowledgements are remembered, each durable."""
    with _opened(disk) as ledger:
        fill(disk)
        last = _recorded(ledger, range(300))
        assert read_ledger(disk / "run-abc.wandb", disk / "state")[_TO].lines[Stream.HISTORY] == last


def test_it_takes_more_room_while_there_is_some(disk: Path) -> None:
    """So that it has it when somebody else takes the rest, however long it has been open."""
    with _opened(disk) as ledger:
        _recorded(ledger, range(1500))
        fill(disk)
        _recorded(ledger, range(1500, 1800))


def test_what_it_does_not_need_is_given_back(disk: Path) -> None:
    """A ledger of some entries takes one block, when it is closed."""
    with _opened(disk) as ledger:
        path = ledger.path
        assert path.stat().st_blocks * 512 >= 64 << 10
    assert path.stat().st_blocks * 512 <= 4096
    assert path.read_bytes().count(b"\n") == 1


def test_when_even_the_room_is_used_up_it_says_so(disk: Path) -> None:
    """And what it has said before is safe."""
    with _opened(disk) as ledger:
        fill(disk)
        with pytest.raises(DiskFull):
            _recorded(ledger, range(5000))
    assert read_ledger(disk / "run-abc.wandb", disk / "state")[_TO].lines[Stream.HISTORY] > 300


def test_a_ledger_that_cannot_be_made_shorter_stays_long(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing it anew needs room that is not there; the old one is whole, and no half of the new one stays."""
    monkeypatch.setattr("backhaul.sync.ledger._COMPACT_AFTER_ENTRIES", 200)
    monkeypatch.setattr(ledger_lock, "_ROOM", 64 << 10)
    with _opened(disk) as ledger:
        fill(disk)
        last = _recorded(ledger, range(300))
        assert ledger.path.read_bytes().count(b"\n") == 301
        assert [path.name for path in disk.glob("*.new")] == []
    assert read_ledger(disk / "run-abc.wandb", disk / "state")[_TO].lines[Stream.HISTORY] == last
