"""From what happens inside of a sync to the events that it tells."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from backhaul.errors import BackhaulError
from backhaul.runs.inspect import Inspection
from backhaul.sync.event import Event, EventKind, OnEvent
from backhaul.sync.outcome import Outcome


class Reporter:
    """Tells `on_event` what happens to each run, one event at a time, from the thread of the event loop.

    Who listens costs no run its delivery: after an exception of `on_event` nothing more is told, and the exception is
    kept as `failure` for whoever asked for the sync.
    """

    def __init__(self, on_event: OnEvent | None = None, clock: Callable[[], float] = time.time) -> None:
        self.failure: Exception | None = None
        self._on_event = on_event
        self._clock = clock

    def started(self, run: Inspection) -> None:
        """Work on a run begins."""
        self._tell(self._event(EventKind.STARTED, run))

    def sent(self, run: Inspection, lines: int, size: int, position: int) -> None:
        """A batch of `lines`, `size` bytes long, was acknowledged; the log has been read to byte `position`."""
        self._tell(self._event(EventKind.LINES, run, lines=lines, size=size, position=position))

    def uploaded(self, run: Inspection, name: str, size: int) -> None:
        """A file was acknowledged."""
        self._tell(self._event(EventKind.FILE, run, name=name, size=size))

    def waiting(self, run: Inspection, error: BackhaulError, failing_for: float) -> None:
        """A request failed and will be tried again; it has been failing for so many seconds."""
        event = self._event(EventKind.WAITING, run)
        self._tell(replace(event, error=error, since=event.at - failing_for))

    def following(self, run: Inspection, quiet_for: float) -> None:
        """All that is whole is sent; the run is still being recorded, and has not grown for so many seconds."""
        event = self._event(EventKind.FOLLOWING, run)
        self._tell(replace(event, since=event.at - quiet_for))

    def verifying(self, run: Inspection) -> None:
        """All is sent; the destination is being asked what it holds."""
        self._tell(self._event(EventKind.VERIFYING, run))

    def finished(self, run: Inspection | None, outcome: Outcome) -> None:
        """Work on a run is over; `run` is None when its log could not even be looked at."""
        log_size = run.size if run is not None else 0
        self._tell(Event(EventKind.FINISHED, self._clock(), outcome.path, outcome.run_id, log_size, outcome=outcome))

    def _event(self, kind: EventKind, run: Inspection, **more: Any) -> Event:
        return Event(kind, self._clock(), run.directory.path, run.identity.run_id, run.size, **more)

    def _tell(self, event: Event) -> None:
        if self._on_event is None or self.failure is not None:
            return
        try:
            self._on_event(event)
        except Exception as failure:  # noqa: BLE001 - a listener's mistake is raised when all runs are done.
            self.failure = failure
