"""The progress of a sync in a terminal: a line for the whole, one a run in work, each with what it waits for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from backhaul.cli.render import size
from backhaul.sync.event import Event, EventKind
from backhaul.sync.tally import Course, Tally

# Without a terminal: how often, in seconds, a line says how far it is, and that the same trouble lasts.
_LINE_EVERY = 15.0


class ProgressView:
    """Draws the events of a sync over runs whose logs have so many bytes. Without a terminal, plain lines."""

    def __init__(self, console: Console, log_sizes: Mapping[Path, int]) -> None:
        self._console = console
        self._tally = Tally(log_sizes)
        self._tasks: dict[Path, TaskID] = {}
        self._followed: set[Path] = set()
        self._last_line: float | None = None
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("[dim]{task.fields[doing]}[/]"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._whole = self._progress.add_task("all runs", total=None, doing="", visible=len(log_sizes) > 1)

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
        if self._console.is_terminal:
            self._draw(event, course)
        else:
            self._say(event)

    def _draw(self, event: Event, course: Course) -> None:
        total = self._tally.read + self._tally.left
        self._progress.update(self._whole, total=total or 1, completed=self._tally.read, doing=self._overall())
        if event.kind is EventKind.FINISHED:
            if (task := self._tasks.pop(event.path, None)) is not None:
                self._progress.remove_task(task)
            return
        if event.path not in self._tasks:
            self._tasks[event.path] = self._progress.add_task(escape(event.run_id), total=1, doing="")
        self._progress.update(
            self._tasks[event.path],
            total=course.log_size or 1,
            completed=course.position,
            doing=_doing(event, course),
        )

    def _say(self, event: Event) -> None:
        if event.kind is EventKind.WAITING:
            self._console.print(f"{escape(event.run_id)}: {_waiting(event)}")
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
        parts = [f"{tally.over} of {len(tally.courses)} runs done", f"{tally.lines} lines", size(tally.size)]
        if tally.rate is not None:
            parts.append(f"{size(tally.rate)}/s")
        if tally.seconds_left is not None:
            parts.append(f"about {tally.seconds_left:.0f} s left")
        return ", ".join(parts)


def _doing(event: Event, course: Course) -> str:
    match event.kind:
        case EventKind.STARTED:
            return "sending"
        case EventKind.LINES:
            return f"{course.lines} lines, {size(course.size)}"
        case EventKind.FILE:
            return f"uploaded {escape(event.name)}, {size(course.size)}"
        case EventKind.WAITING:
            return f"[yellow]{_waiting(event)}[/]"
        case EventKind.FOLLOWING:
            return f"recording; nothing new for {event.at - (event.since or event.at):.0f} s"
        case _:
            return "reading back"


def _waiting(event: Event) -> str:
    reason = event.error.message if event.error is not None else ""
    return escape(f"{reason} ({event.at - (event.since or event.at):.0f} s); trying again")
