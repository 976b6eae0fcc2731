"""How far a sync is: bars in a terminal, elsewhere a plain line now and then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from backhaul.cli.progress_words import overall, waiting
from backhaul.cli.visible import shown
from backhaul.sync.event import Event, EventKind, OnEvent
from backhaul.sync.tally import Tally

# How often, in seconds, a line says how far it is, and that the same trouble lasts.
_LINE_EVERY = 15.0


@contextmanager
def progress_view(console: Console, log_sizes: Mapping[Path, int]) -> Iterator[OnEvent]:
    """Shows the events of a sync over runs whose logs have so many bytes, for as long as the block lasts."""
    if not console.is_terminal:
        yield ProgressLines(console, log_sizes).on_event
        return
    # Only for a terminal: what draws takes a while to load.
    from backhaul.cli.progress_bars import ProgressBars

    with ProgressBars(console, log_sizes) as bars:
        yield bars.on_event


class ProgressLines:
    """Tells what is tried again at once, and every quarter of a minute how far it is."""

    def __init__(self, console: Console, log_sizes: Mapping[Path, int]) -> None:
        self._console = console
        self._tally = Tally(log_sizes)
        self._followed: set[Path] = set()
        self._last_line: float | None = None

    def on_event(self, event: Event) -> None:
        """Tell what happened, if it is time for it."""
        self._tally.take(event)
        if event.kind is EventKind.WAITING:
            self._console.print(f"{shown(event.run_id)}: {shown(waiting(event, event.at))}")
        elif event.kind is EventKind.FOLLOWING and event.path not in self._followed:
            self._followed.add(event.path)
            self._console.print(f"{shown(event.run_id)}: what is whole was sent; following the log")
        if self._last_line is None:
            self._last_line = event.at
        elif event.at - self._last_line >= _LINE_EVERY:
            self._last_line = event.at
            self._console.print(overall(self._tally), soft_wrap=True)
