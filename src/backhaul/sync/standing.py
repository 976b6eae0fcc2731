"""Where each run stands on its way home, by what lies on this disk: its log, the ledger beside it, W&B's marker."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from backhaul.errors import BackhaulError, EmptyLog
from backhaul.runs.directory import RunDirectory
from backhaul.runs.inspect import Inspection, inspect
from backhaul.runs.life import life_of
from backhaul.runs.open_files import OpenFiles
from backhaul.runs.stream import NUMBERED
from backhaul.sync.ledger import read_ledger
from backhaul.sync.mishap import told
from backhaul.sync.outcome import RunState
from backhaul.sync.progress import LogStamp, Progress
from backhaul.wandblog import LogEnd


class Step(StrEnum):
    """What has to happen next with a run, in the order in which a user wants to see it."""

    LOOK = "look at it"
    SYNC = "sync"
    GO_ON = "sync, to go on"
    PROVE = "sync, to prove it"
    WAIT = "wait"
    NOTHING = "nothing"


_STATE = {
    Step.LOOK: RunState.QUARANTINED,
    Step.SYNC: RunState.PENDING,
    Step.GO_ON: RunState.SENDING,
    Step.PROVE: RunState.PENDING,
    Step.WAIT: RunState.RECORDING,
    Step.NOTHING: RunState.VERIFIED,
}


@dataclass(frozen=True, slots=True)
class Standing:
    """One run directory's standing.

    `size` is that of the log in bytes, `changed_at` when the log last changed (Unix seconds), both 0 when it cannot be
    looked at. `destinations` is what each has acknowledged, by the ledger's name for it. `marked` says that W&B's own
    marker lies beside the log, which proves nothing. `error` is why the log gives nothing.
    """

    directory: RunDirectory
    step: Step
    inspection: Inspection | None = None
    size: int = 0
    changed_at: float = 0.0
    destinations: Mapping[str, Progress] = field(default_factory=dict)
    marked: bool = False
    error: BackhaulError | None = None

    @property
    def state(self) -> RunState:
        """The run's state, as the other commands name it."""
        return _STATE[self.step]

    def as_json(self) -> dict[str, Any]:
        """The run's entry in the `--json` document."""
        identity = self.inspection.identity if self.inspection else None
        return {
            "path": str(self.directory.path),
            "run_id": identity.run_id if identity else self.directory.run_id_hint,
            "name": identity.display_name if identity else "",
            "entity": (identity and identity.entity) or None,
            "project": (identity and identity.project) or None,
            "state": str(self.state),
            "next": str(self.step),
            "size": self.size,
            "changed_at": self.changed_at,
            "end": str(self.inspection.end) if self.inspection else None,
            "sdk": (self.inspection and self.inspection.producer) or None,
            "marked": self.marked,
            "destinations": [_destination(to, known) for to, known in self.destinations.items()],
            "error": self.error.as_json() if self.error else None,
        }


def standings(directories: Iterable[RunDirectory], state_folder: Path) -> Iterator[Standing]:
    """The standing of each run, in the order given. Reads head and tail of each log; no network, nothing is written."""
    # One look at all processes serves every run.
    open_files, now = OpenFiles.look(), time.time()
    for directory in directories:
        yield _standing(directory, state_folder, open_files, now)


def _standing(directory: RunDirectory, state_folder: Path, open_files: OpenFiles, now: float) -> Standing:
    size, changed_at = 0, 0.0
    try:
        stamp = LogStamp.of(directory.log)
        size, changed_at = stamp.size, stamp.mtime_ns / 1e9
        inspection = inspect(directory)
    except EmptyLog as error:
        # A job that has just begun has written nothing but the header.
        step = Step.WAIT if open_files.is_written(directory.log) else Step.LOOK
        return Standing(directory, step, None, size, changed_at, error=error)
    except (OSError, BackhaulError) as error:
        return Standing(directory, Step.LOOK, None, size, changed_at, error=told(error))
    destinations = read_ledger(directory.log, state_folder)
    marked = directory.synced_marker.exists()
    is_recording = inspection.end is not LogEnd.COMPLETE and _goes_on(inspection, open_files, now)
    step = Step.WAIT if is_recording else _step(destinations, stamp, marked=marked)
    return Standing(directory, step, inspection, size, changed_at, destinations, marked)


def _goes_on(run: Inspection, open_files: OpenFiles, now: float) -> bool:
    """Whether it is still being written, as a sync would take it."""
    who = run.identity
    return life_of(run.directory, who.host, who.start_time, now=now, written=open_files.written).goes_on


def _step(destinations: Mapping[str, Progress], stamp: LogStamp, *, marked: bool) -> Step:
    if any(known.verified == stamp for known in destinations.values()):
        return Step.NOTHING
    if any(known.begun for known in destinations.values()):
        return Step.GO_ON
    return Step.PROVE if marked else Step.SYNC


def _destination(to: str, known: Progress) -> dict[str, Any]:
    return {
        "to": to,
        "lines": {stream.name.lower(): known.lines[stream] for stream in NUMBERED},
        "files": len(known.files),
        "artifacts": len(known.artifacts),
        "receipt": known.receipt,
    }
