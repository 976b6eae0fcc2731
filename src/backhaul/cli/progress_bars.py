"""The progress of a sync in a terminal: a line for the whole, one a run in work, each with what it waits for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from backhaul.cli.progress_words import doing, overall
from backhaul.sync.event import Event, EventKind
from backhaul.sync.tally import Tally

# A narrower terminal has no room for bars and times.
_WIDE = 90
_ROWS_OF_OTHERS = 3


class ProgressBars:
    """Draws the events of a sync over runs whose logs have so many bytes."""

    def __init__(self, console: Console, log_sizes: Mapping[Path, int], clock: Callable[[], float] = time.time) -> None:
        self._console = console
        self._clock = clock
        self._tally = Tally(log_sizes)
        self._tasks: dict[Path, TaskID] = {}
        self._progress = Progress(*_columns(console.width), console=console, transient=True, refresh_per_second=4)
        say = partial(overall, self._tally)
        self._whole = self._progress.add_task("all runs", total=None, say=say, visible=len(log_sizes) > 1)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def on_event(self, event: Event) -> None:
        """Show what happened."""
        course, whole = self._tally.take(event), self._tally.whole
        self._progress.update(self._whole, total=whole.log_size or 1, completed=whole.position)
        task = self._tasks.get(event.path)
        if event.kind is EventKind.FINISHED:
            if task is not None:
                self._progress.remove_task(self._tasks.pop(event.path))
            return
        if task is None:
            if len(self._tasks) >= max(1, self._console.height - _ROWS_OF_OTHERS):
                return  # There is no room for it; the line of the whole counts it all the same.
            task = self._tasks[event.path] = self._progress.add_task(escape(event.run_id), total=1, say=str)
        self._progress.update(
            task,
            total=course.log_size or 1,
            completed=course.position,
            say=lambda: doing(event, course, self._clock()),
        )


class _Saying(ProgressColumn):
    """What a task's `say` says, asked for each time that it is drawn: times go on while nothing happens."""

    def render(self, task: Task) -> Text:
        """The text of one task, on one line."""
        return Text(task.fields["say"](), style="dim", no_wrap=True, overflow="ellipsis")


def _columns(width: int) -> list[ProgressColumn]:
    if width < _WIDE:
        return [TextColumn("{task.description}"), _Saying()]
    return [TextColumn("{task.description}"), BarColumn(bar_width=16), _Saying(), TimeElapsedColumn()]
