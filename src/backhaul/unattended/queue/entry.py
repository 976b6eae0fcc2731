"""What the queue holds: one row for each run directory's log."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Self

from backhaul.errors import BackhaulError
from backhaul.runs.directory import RunDirectory
from backhaul.sync.progress import LogStamp
from backhaul.unattended.queue.where import Where


class QueueState(StrEnum):
    """Where a run stands in the queue. `DROPPED` is remembered, so that it is not noticed anew."""

    RECORDING = "recording"
    PENDING = "pending"
    SENDING = "sending"
    BLOCKED = "blocked"
    VERIFIED = "verified"
    QUARANTINED = "quarantined"
    DROPPED = "dropped"


class Key(NamedTuple):
    """What tells one row from another: the log, and the host that alone can read it (empty: any host can)."""

    host: str
    log: Path


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a run is not home: the error's code, what happened, and the next step."""

    code: str
    message: str
    next: str = ""

    @classmethod
    def of(cls, error: BackhaulError) -> Self:
        """The reason that `error` gives."""
        return cls(error.code, error.message, error.next)

    def as_json(self) -> dict[str, str]:
        """The form in `--json`."""
        return {"code": self.code, "message": self.message, "next": self.next}


NOTHING_READ = LogStamp(-1, -1)


@dataclass(frozen=True, slots=True)
class Entry:
    """What is put into the queue: a run as it is found on the disk, and where it is to go.

    `to`, `entity` and `project` are as in the options of `backhaul sync`, empty for what the worker itself is told. No
    key is ever kept. `stamp` is the log that was looked at. Nobody takes the run before `due_at` (Unix seconds).
    `run_id` is what the log says, else what its name does: parts of one run have the same.
    """

    log: Path
    to: str = ""
    entity: str = ""
    project: str = ""
    host: str = ""
    state: QueueState = QueueState.PENDING
    stamp: LogStamp = NOTHING_READ
    due_at: float = 0.0
    reason: Reason | None = None
    run_id: str = ""

    def __post_init__(self) -> None:
        if not self.run_id:
            object.__setattr__(self, "run_id", self.directory.run_id_hint)

    @property
    def key(self) -> Key:
        """What tells this row from the others."""
        return Key(self.host, self.log)

    @property
    def where(self) -> Where:
        """Where the run is to go, as far as somebody said so."""
        return Where(self.to, self.entity, self.project)

    @property
    def directory(self) -> RunDirectory:
        """The run directory."""
        return RunDirectory(self.log.parent, self.log)


@dataclass(frozen=True, slots=True)
class Item:
    """One row of the queue.

    `attempts` were spent in a row without success. `crashes` is how many workers in a row took the run and were not
    heard of again. `asked` grows whenever the run changes or is asked for, so that what came in during a try is seen.
    `owner` has the run in hand until `lease_until`. `queued_at` is when it came in; times are Unix seconds.
    """

    entry: Entry
    attempts: int
    crashes: int
    asked: int
    paused: bool
    queued_at: float
    owner: str
    lease_until: float

    @property
    def key(self) -> Key:
        """What tells this row from the others."""
        return self.entry.key

    @property
    def state(self) -> QueueState:
        """Where the run stands."""
        return self.entry.state

    def as_json(self, now: float) -> dict[str, Any]:
        """The entry in `backhaul queue list --json`."""
        entry = self.entry
        return {
            "path": str(entry.log.parent),
            "log": str(entry.log),
            "host": entry.host or None,
            "run_id": entry.run_id,
            "state": str(entry.state),
            "paused": self.paused,
            "to": entry.to or None,
            "entity": entry.entity or None,
            "project": entry.project or None,
            "attempts": self.attempts,
            "crashes": self.crashes,
            "age": max(0.0, now - self.queued_at),
            "next_attempt_in": max(0.0, entry.due_at - now) if entry.state in WAITING else None,
            "owner": self.owner or None,
            "error": entry.reason and entry.reason.as_json(),
        }


WAITING = frozenset({QueueState.PENDING, QueueState.BLOCKED})
OPEN = WAITING | {QueueState.RECORDING, QueueState.SENDING, QueueState.QUARANTINED}


@dataclass(frozen=True, slots=True)
class Worker:
    """Somebody who works on the queue: who, since when, last heard of when, and what he says of the line."""

    owner: str
    began_at: float
    seen_at: float
    words: str
