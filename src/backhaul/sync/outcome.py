"""How it went: the outcome of each run, and what it means for the whole command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from backhaul.errors import (
    BackhaulError,
    ConfigurationError,
    DeadlineReached,
    Interrupted,
    NotProvable,
    QuarantineError,
    StillRecording,
    TemporaryError,
)
from backhaul.runs.inspect import Inspection
from backhaul.runs.stream import NUMBERED, Stream
from backhaul.sync.destination import Destination
from backhaul.sync.verify import Difference
from backhaul.wandblog import Damage
from backhaul.wire.hosts import page_of
from backhaul.wire.remote import RunAddress


class RunState(StrEnum):
    """Where a run stands on its way home."""

    RECORDING = "recording"
    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    VERIFIED = "verified"
    BLOCKED = "blocked"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A row, value or payload that was not delivered, with the reason and the next step."""

    what: str
    reason: str
    next: str

    def as_json(self) -> dict[str, str]:
        """The form in `--json`."""
        return {"what": self.what, "reason": self.reason, "next": self.next}


@dataclass(slots=True)
class Outcome:
    """One run directory's outcome.

    `local` and `remote` count lines per stream (of the fragment, and as far as known at the destination); `files` the
    files to deliver and those that are there; `name` is what the user calls the run. `differences` are what a reading
    back found, `url` the run's page for people. `error` is why the run is not verified, or LogDamaged beside verified.
    """

    path: Path
    run_id: str
    name: str = ""
    entity: str | None = None
    project: str | None = None
    state: RunState = RunState.PENDING
    local: Mapping[Stream, int] = field(default_factory=dict)
    remote: Mapping[Stream, int] = field(default_factory=dict)
    files_local: int = 0
    files_remote: int = 0
    artifacts_local: int = 0
    artifacts_remote: int = 0
    quarantined: list[Quarantined] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error: BackhaulError | None = None
    receipt: str | None = None
    url: str | None = None
    sent_lines: int = 0
    sent_bytes: int = 0

    @classmethod
    def at(cls, to: Destination, run: Inspection) -> Self:
        """The outcome of a run before anything is done: where it is to go, as far as that is known without asking."""
        identity = run.identity
        return cls(
            run.directory.path,
            to.run_id_of(identity),
            identity.display_name,
            entity=to.entity_of(identity),
            project=to.project_of(identity),
        )

    def is_at(self, to: Destination, address: RunAddress) -> None:
        """The destination has the run under this address."""
        self.entity, self.project = address.entity, address.project
        # The user's own depot may end with the command, and its address with it.
        self.url = page_of(to.base_url, address) if to.name is None else None

    @property
    def exit_code(self) -> int:
        """What this run alone would make the command's exit code."""
        if self.error is not None:
            return self.error.exit_code
        if self.quarantined:
            return QuarantineError.exit_code
        if self.state is RunState.VERIFIED:
            return 0
        return TemporaryError.exit_code

    @property
    def is_news(self) -> bool:
        """Whether there is more to tell than that the run is where it was."""
        return self.state is not RunState.VERIFIED or self.error is not None or self.sent_lines > 0

    def fail(self, error: BackhaulError) -> None:
        """The run did not get home; what it waits for decides its state."""
        self.error = error
        if isinstance(error, StillRecording):
            self.state = RunState.RECORDING
            return
        if isinstance(error, NotProvable) and self.state is RunState.SENT:
            return
        waits = isinstance(error, TemporaryError | ConfigurationError | DeadlineReached | Interrupted)
        self.state = RunState.BLOCKED if waits else RunState.QUARANTINED

    def as_json(self) -> dict[str, Any]:
        """The run's entry in the `--json` document."""
        return {
            "path": str(self.path),
            "run_id": self.run_id,
            "name": self.name,
            "entity": self.entity,
            "project": self.project,
            "state": str(self.state),
            "streams": {
                stream.name.lower(): {"local": self.local.get(stream), "remote": self.remote.get(stream)}
                for stream in NUMBERED
            },
            "files": {"local": self.files_local, "remote": self.files_remote},
            "artifacts": {"local": self.artifacts_local, "remote": self.artifacts_remote},
            "quarantined": [item.as_json() for item in self.quarantined],
            "damage": [
                {"offset": damage.offset, "length": damage.length, "kind": str(damage.kind)} for damage in self.damage
            ],
            "differences": [difference.as_json() for difference in self.differences],
            "left_out": self.left_out,
            "notes": self.notes,
            "error": self.error.as_json() if self.error else None,
            "receipt": self.receipt,
            "url": self.url,
        }


# Of several outcomes the first in this row is the command's: a bug, then what the user must mend before anything else
# helps, then what waiting helps, then what nothing helps, then losses.
_MOST_URGENT_FIRST = (1, 130, 143, 4, 8, 5, 10, 7, 6, 9)


def overall_exit_code(outcomes: Iterable[Outcome]) -> int:
    """The exit code of a command over these runs; 0 only when every one is verified."""
    codes = {outcome.exit_code for outcome in outcomes}
    return next((code for code in _MOST_URGENT_FIRST if code in codes), max(codes, default=0))
