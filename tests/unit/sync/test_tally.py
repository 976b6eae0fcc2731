"""The tally: what a sync's events add up to, by a clock of the test's own."""

from __future__ import annotations

from pathlib import Path

from backhaul.errors import ConnectionLost
from backhaul.sync.event import Event, EventKind
from backhaul.sync.tally import Tally

_ONE, _TWO = Path("one"), Path("two")


def _lines(path: Path, at: float, lines: int, size: int, position: int) -> Event:
    return Event(EventKind.LINES, at, path, path.name, 1000, lines, size, position)


def test_lines_and_files_add_up_over_the_runs() -> None:
    """Bytes are those of both; a run that is over counts as sent whole."""
    tally = Tally({_ONE: 1000, _TWO: 3000})
    tally.take(_lines(_ONE, 0, 10, 100, 400))
    tally.take(_lines(_TWO, 1, 5, 50, 200))
    tally.take(Event(EventKind.FILE, 2, _TWO, "two", 3000, size=7, name="f"))
    assert (tally.lines, tally.size, tally.read, tally.left, tally.over) == (15, 157, 600, 3400, 0)
    tally.take(Event(EventKind.FINISHED, 3, _ONE, "one", 1000))
    assert (tally.read, tally.left, tally.over) == (1200, 2800, 1)


def test_rate_and_time_left_are_those_of_late() -> None:
    """A fast beginning a minute ago says nothing about now; before two moments nothing is said at all."""
    tally = Tally({_ONE: 1000})
    tally.take(_lines(_ONE, 0, 1, 100_000, 500))
    assert (tally.rate, tally.seconds_left) == (None, None)
    for second in range(60, 91):
        tally.take(_lines(_ONE, second, 1, 20, 500 + (second - 60) * 10))
    assert tally.rate == 20
    assert tally.seconds_left == 20  # 200 bytes of the log are left, 10 go a second


def test_a_wait_ends_with_the_next_thing_that_happens() -> None:
    """And while it lasts, its reason and its beginning are known."""
    tally = Tally({})
    error = ConnectionLost("gone")
    course = tally.take(Event(EventKind.WAITING, 50, _ONE, "one", 1000, error=error, since=20))
    assert course.waiting == (error, 20)
    assert tally.take(_lines(_ONE, 60, 1, 1, 1)).waiting is None
