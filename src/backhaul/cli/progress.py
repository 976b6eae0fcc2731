"""The progress of a sync in a terminal: a line for the whole, one a run in work, each with what it waits for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from backhaul.cli.render import duration, size
from backhaul.sync.event import Event, EventKind
from backhaul.sync.tally import Course, Tally

# Without a terminal: how often, in seconds, a line says how far it is, and that the same trouble lasts.
_LINE_EVERY = 15.0
# When nothing was told of a run for so many seconds, that is said.
_SILENT = 5.0
# A narrower terminal has no room for bars and times.
_WIDE = 90
_ROWS_OF_OTHERS = 3
_IN_WORDS = {
    EventKind.STARTED: "asking what is there",
    EventKind.FOLLOWING: "all sent; following the log",
    EventKind.VERIFYING: "reading back",
}


class ProgressView:
    """Draws the events of a sync over runs whose logs have so many bytes. Without a terminal, plain lines."""

    def __init__(self, console: Console, log_sizes: Mapping[Path, int], clock: Callable[[], float] = time.time) -> None:
        self._console = console
        self._is_terminal = console.is_terminal
        self._clock = clock
        self._tally = Tally(log_sizes)
        self._tasks: dict[Path, TaskID] = {}
        self._followed: set[Path] = set()
        self._last_line: float | None = None
        self._progress = Progress(
            *_columns(console.width),
            console=console,
            transient=True,
            refresh_per_second=4,
            disable=not self._is_terminal,
        )
        self._whole = self._progress.add_task("all runs", total=None, say=self._overall, visible=len(log_sizes) > 1)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def on_event(self, event: Event) -> None:
        """Show what happened."""
        course = self._tally.take(event)
        if self._is_terminal:
            self._draw(event, course)
        else:
            self._say(event)

    def _draw(self, event: Event, course: Course) -> None:
        whole = self._tally.whole
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
            say=lambda: _doing(event, course, self._clock()),
        )

    def _say(self, event: Event) -> None:
        if event.kind is EventKind.WAITING:
            self._console.print(f"{escape(event.run_id)}: {escape(_waiting(event, event.at))}")
        elif event.kind is EventKind.FOLLOWING and event.path not in self._followed:
            self._followed.add(event.path)
            self._console.print(f"{escape(event.run_id)}: what is whole was sent; following the log")
        if self._last_line is None:
            self._last_line = event.at
        elif event.at - self._last_line >= _LINE_EVERY:
            self._last_line = event.at
            self._console.print(self._overall(), soft_wrap=True)

    def _overall(self) -> str:
        tally = self._tally
        return ", ".join([f"{tally.over} of {len(tally.courses)} runs done", *_figures(tally.whole)])


class _Saying(ProgressColumn):
    """What a task's `say` says, asked for each time that it is drawn: times go on while nothing happens."""

    def render(self, task: Task) -> Text:
        """The text of one task, on one line."""
        return Text(task.fields["say"](), style="dim", no_wrap=True, overflow="ellipsis")


def _columns(width: int) -> list[ProgressColumn]:
    if width < _WIDE:
        return [TextColumn("{task.description}"), _Saying()]
    return [TextColumn("{task.description}"), BarColumn(bar_width=16), _Saying(), TimeElapsedColumn()]


def _figures(course: Course) -> list[str]:
    """What counts most first: a narrow terminal cuts the end off."""
    parts = [f"{course.share:.0%}"]
    if course.seconds_left is not None:
        parts.append(f"{duration(course.seconds_left)} left")
    parts += [f"{course.lines} lines", size(course.size)]
    return [*parts, f"{size(course.rate)}/s"] if course.rate is not None else parts


def _doing(event: Event, course: Course, now: float) -> str:
    silent = now - course.heard
    if event.kind is EventKind.WAITING:
        return _waiting(event, now)
    words = _IN_WORDS.get(event.kind)
    if event.kind is EventKind.FILE:
        words = f"uploaded {event.name}"
    parts = [words] if words else []
    if event.kind in (EventKind.LINES, EventKind.FILE):
        parts = [*_figures(course), *parts]
    if event.kind is EventKind.FOLLOWING:
        parts.append(f"nothing new for {duration(now - (event.since or event.at))}")
    elif silent > _SILENT:
        parts.insert(0, f"nothing acknowledged for {duration(silent)}")
    return ", ".join(parts)


def _waiting(event: Event, now: float) -> str:
    reason = event.error.message if event.error is not None else ""
    return f"failing for {duration(now - (event.since or event.at))}, trying again: {reason}"
