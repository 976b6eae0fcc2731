"""What the events of a sync add up to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from backhaul.sync.event import Event, EventKind
from backhaul.sync.tally import Tally

_A, _B = Path("a"), Path("b")


def _event(kind: EventKind, at: float, path: Path = _A, **more: int) -> Event:
    return replace(Event(kind, at, path, path.name, 100), **more)


def test_the_whole_is_the_sum_of_its_runs() -> None:
    """Lines, bytes and positions, and how many runs are done with."""
    tally = Tally({_A: 100, _B: 100})
    tally.take(_event(EventKind.LINES, 1, lines=3, size=30, position=50))
    tally.take(_event(EventKind.FILE, 2, _B, size=5))
    tally.take(_event(EventKind.FINISHED, 3, _B))
    assert (tally.over, tally.whole.lines, tally.whole.size) == (1, 3, 35)
    assert (tally.whole.position, tally.whole.left, tally.whole.share) == (150, 50, 0.75)


def test_a_run_that_is_read_anew_takes_its_part_back() -> None:
    """As with `--live`: the whole does not count it twice."""
    tally = Tally({_A: 100})
    tally.take(_event(EventKind.LINES, 1, lines=1, size=1, position=80))
    tally.take(_event(EventKind.STARTED, 2))
    assert (tally.whole.position, tally.whole.left) == (0, 100)
    tally.take(_event(EventKind.LINES, 3, lines=1, size=1, position=90))
    assert tally.whole.position == 90


def test_nothing_is_foretold_of_the_first_moments() -> None:
    """After some seconds the pace of late tells how long the rest takes; nothing moves: it cannot be said."""
    tally = Tally({_A: 100})
    tally.take(_event(EventKind.STARTED, 0))
    course = tally.take(_event(EventKind.LINES, 1, size=10, position=10))
    assert course.seconds_left is None
    course = tally.take(_event(EventKind.LINES, 4, size=10, position=40))
    assert (course.seconds_left, course.rate) == (6, 5)
    still = Tally({_A: 100})
    for at in range(9):
        course = still.take(_event(EventKind.STARTED, at))
    assert course.seconds_left is None
