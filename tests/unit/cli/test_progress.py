"""What a person sees of a sync while it works, in a terminal and without one."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from backhaul.cli.progress import ProgressLines
from backhaul.cli.progress_bars import ProgressBars
from backhaul.cli.render import show_outcomes
from backhaul.errors import ServerUnavailable
from backhaul.sync.event import Event, EventKind
from backhaul.sync.outcome import Outcome

_RUNS = {Path(f"run-{number}"): 1000 for number in range(40)}


class _Screen:
    """A terminal of so many columns and rows, and a clock."""

    def __init__(self, width: int, height: int = 24, *, terminal: bool = True) -> None:
        self.now = 100.0
        self.text = io.StringIO()
        self.console = Console(
            file=self.text, force_terminal=terminal, width=width, height=height, color_system=None, legacy_windows=False
        )
        self.view = (
            ProgressBars(self.console, _RUNS, lambda: self.now) if terminal else ProgressLines(self.console, _RUNS)
        )

    def tell(self, kind: EventKind, number: int = 0, **more: object) -> None:
        path = Path(f"run-{number}")
        self.view.on_event(replace(Event(kind, self.now, path, path.name, 1000), **more))  # type: ignore[arg-type]

    def lines(self) -> list[str]:
        """What is drawn now."""
        assert isinstance(self.view, ProgressBars)
        with self.console.capture() as capture:
            self.console.print(self.view._progress.get_renderable())
        return capture.get().splitlines()


@pytest.mark.parametrize("width", [40, 120])
def test_the_whole_and_each_run_are_told_on_a_line_that_fits(width: int) -> None:
    """Share and time left first, so that a narrow terminal cuts off what counts less."""
    screen = _Screen(width)
    screen.tell(EventKind.STARTED)
    screen.now += 4
    screen.tell(EventKind.LINES, lines=10, size=2048, position=500)
    whole, run = screen.lines()
    assert max(map(len, screen.lines())) <= width
    assert "all runs" in whole
    assert "0 of 40 runs" in whole
    assert "50%, 4 s left" in run
    if width > 100:
        assert "10 lines, 2.0 KiB, 512 B/s" in run
        assert "1%, 312 s left" in whole or "1%, 5 min left" in whole


def test_what_a_run_waits_for_gets_older_while_nothing_happens() -> None:
    """The age is that of the moment in which it is drawn, not that of the last event."""
    screen = _Screen(160)
    screen.tell(EventKind.WAITING, error=ServerUnavailable("the server answered 503"), since=screen.now - 30)
    assert "failing for 30 s, trying again: the server answered 503" in screen.lines()[1]
    screen.now += 15
    assert "failing for 45 s" in screen.lines()[1]


def test_silence_is_told() -> None:
    """A request that hangs makes no event; how long nothing was acknowledged shows all the same."""
    screen = _Screen(160)
    screen.tell(EventKind.VERIFYING)
    assert "acknowledged" not in screen.lines()[1]
    screen.now += 12
    assert "nothing acknowledged for 12 s, reading back" in screen.lines()[1]


def test_more_runs_than_rows_do_not_push_the_whole_off_the_screen() -> None:
    """As many as there is room for are shown; one that ends makes room for another."""
    screen = _Screen(100, height=10)
    for number in range(40):
        screen.tell(EventKind.STARTED, number)
    assert len(screen.lines()) == 8
    screen.tell(EventKind.FINISHED, 0)
    screen.tell(EventKind.VERIFYING, 39)
    assert len(screen.lines()) == 8
    assert "run-39" in screen.lines()[-1]


def test_without_a_terminal_there_are_plain_lines_now_and_then() -> None:
    """Every quarter of a minute how far it is, and at once what is tried again."""
    screen = _Screen(80, terminal=False)
    for _ in range(20):
        screen.tell(EventKind.LINES, lines=1, size=10, position=10)
        screen.now += 1
    screen.tell(EventKind.WAITING, error=ServerUnavailable("away"), since=screen.now - 3)
    told = screen.text.getvalue().splitlines()
    assert len(told) == 2
    assert told[0].startswith("0 of 40 runs done, ")
    assert told[1] == "run-0: failing for 3 s, trying again: away"


@pytest.mark.parametrize(("width", "rows"), [(50, 2), (100, 2)])
def test_the_outcomes_fit_a_narrow_terminal(width: int, rows: int) -> None:
    """A table where there is room for one, else a name and a line a run; nothing is broken in the middle of words."""
    text = io.StringIO()
    outcome = Outcome(Path("run-0"), "run-0", entity="ada", project="a-long-project-name")
    show_outcomes([outcome], Console(file=text, width=width, color_system=None))
    lines = text.getvalue().splitlines()
    assert len(lines) <= rows + 1
    assert any("ada/a-long-project-name/run-0" in line for line in lines)
