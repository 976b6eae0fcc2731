"""The progress of a sync in a terminal: one line a run in work, and a line for what waits."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from backhaul.errors import BackhaulError
from backhaul.runs.inspect import Inspection
from backhaul.sync.outcome import Outcome


class ProgressReporter:
    """Draws what a sync tells. Without a terminal only waits are printed, a line each."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tasks: dict[Path, TaskID] = {}
        self._followed: set[Path] = set()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("[dim]{task.fields[doing]}[/]"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def started(self, run: Inspection) -> None:
        """Show a new line, or go on with that of a run which is followed."""
        log = run.directory.log
        if log in self._tasks:
            self._progress.update(self._tasks[log], total=run.size or 1, doing="sending")
            return
        self._tasks[log] = self._progress.add_task(escape(run.identity.run_id), total=run.size or 1, doing="sending")

    def sent(self, run: Inspection, lines: int, size: int, position: int) -> None:
        """Move the bar to how far the log has been sent."""
        self._progress.update(self._tasks[run.directory.log], completed=position, doing=f"{lines} lines sent")

    def uploaded(self, run: Inspection, name: str, size: int) -> None:
        """Name the file."""
        self._progress.update(self._tasks[run.directory.log], doing=f"uploaded {escape(name)}")

    def waiting(self, run: Inspection, error: BackhaulError, failing_for: float) -> None:
        """Say what is waited for, and for how long it has lasted."""
        text = f"{error.message} ({failing_for:.0f} s); trying again"
        if self._console.is_terminal:
            self._progress.update(self._tasks[run.directory.log], doing=f"[yellow]{escape(text)}[/]")
        else:
            self._console.print(f"{escape(run.identity.run_id)}: {escape(text)}")

    def following(self, run: Inspection, quiet_for: float) -> None:
        """Say that more is waited for; without a terminal once."""
        log = run.directory.log
        if self._console.is_terminal:
            self._progress.update(self._tasks[log], doing=f"recording; nothing new for {quiet_for:.0f} s")
        elif log not in self._followed:
            self._console.print(f"{escape(run.identity.run_id)}: what is whole was sent; following the log")
        self._followed.add(log)

    def verifying(self, run: Inspection) -> None:
        """All is sent."""
        self._progress.update(self._tasks[run.directory.log], completed=run.size or 1, doing="reading back")

    def finished(self, run: Inspection | None, outcome: Outcome) -> None:
        """Take the line away; the table at the end tells the rest."""
        if run is not None and (task := self._tasks.pop(run.directory.log, None)) is not None:
            self._progress.remove_task(task)
