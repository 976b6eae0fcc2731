"""What a sync tells while it works: one type for the command line, `--json-lines` and a program's `on_event`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from backhaul.errors import BackhaulError
from backhaul.sync.outcome import Outcome


class EventKind(StrEnum):
    """What happened."""

    STARTED = "started"
    LINES = "lines"
    FILE = "file"
    WAITING = "waiting"
    FOLLOWING = "following"
    VERIFYING = "verifying"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to one run at `at` (Unix seconds).

    `path` is the run directory, `log_size` the bytes of its log (0: not known). Of LINES, `lines` were acknowledged in
    `size` bytes, and the log has been read to byte `position`; of FILE, the file `name` of `size` bytes was. WAITING
    says by `error` why a request is tried again, and FOLLOWING that the log has not grown, both since `since` (Unix
    seconds). FINISHED has the run's `outcome`.
    """

    kind: EventKind
    at: float
    path: Path
    run_id: str
    log_size: int = 0
    lines: int = 0
    size: int = 0
    position: int = 0
    name: str = ""
    error: BackhaulError | None = None
    since: float | None = None
    outcome: Outcome | None = None

    def as_json(self) -> dict[str, Any]:
        """The line of `--json-lines`: what every event has, and what its kind has."""
        common = {"event": str(self.kind), "at": self.at, "path": str(self.path), "run_id": self.run_id}
        match self.kind:
            case EventKind.STARTED:
                return {**common, "log_size": self.log_size}
            case EventKind.LINES:
                return {**common, "lines": self.lines, "bytes": self.size, "position": self.position}
            case EventKind.FILE:
                return {**common, "name": self.name, "bytes": self.size}
            case EventKind.WAITING:
                return {**common, "since": self.since, "error": self.error and self.error.as_json()}
            case EventKind.FOLLOWING:
                return {**common, "since": self.since}
            case EventKind.VERIFYING:
                return common
            case EventKind.FINISHED:
                return {**common, "run": self.outcome and self.outcome.as_json()}


OnEvent = Callable[[Event], object]
