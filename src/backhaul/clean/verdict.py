"""What may become of each run, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from backhaul.errors import BackhaulError, NotProven, StillRecording
from backhaul.runs.directory import RunDirectory
from backhaul.sync.outcome import Outcome, overall_exit_code


class Fate(StrEnum):
    """What becomes of a run directory."""

    KEPT = "kept"
    PROVEN = "proven"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One run directory's fate; `frees` is in bytes, `receipt` is what proves it, `error` why it is kept.

    `to` is the ledger's name for the destination, `log_digest` the SHA-256 of the log that the receipt is about.
    """

    directory: RunDirectory
    fate: Fate
    run_id: str
    to: str = ""
    frees: int = 0
    receipt: Path | None = None
    log_digest: str = ""
    error: BackhaulError | None = None

    def as_json(self) -> dict[str, Any]:
        """The run's entry in the `--json` document."""
        return {
            "path": str(self.directory.path),
            "run_id": self.run_id,
            "fate": str(self.fate),
            "to": self.to,
            "frees": self.frees,
            "receipt": str(self.receipt) if self.receipt else None,
            "error": self.error.as_json() if self.error else None,
        }


@dataclass(frozen=True, slots=True)
class Clearing:
    """The verdict on every run; `finished` are deletions of an interrupted cleaning that were brought to their end."""

    runs: tuple[Verdict, ...]
    finished: tuple[Path, ...] = ()

    def of(self, fate: Fate) -> list[Verdict]:
        """The runs of this fate."""
        return [run for run in self.runs if run.fate is fate]

    @property
    def freed(self) -> int:
        """Bytes that were given back to the disk."""
        return sum(run.frees for run in self.of(Fate.DELETED))

    @property
    def exit_code(self) -> int:
        """0 unless something went wrong: that a run is not home yet, or still recorded, is nothing wrong."""
        return overall_exit_code(_failures(self.runs))

    def as_json(self) -> dict[str, Any]:
        """The document of `--json`."""
        return {
            "runs": [run.as_json() for run in self.runs],
            "finished": [str(path) for path in self.finished],
            "freed": self.freed,
            "exit_code": self.exit_code,
        }


def _failures(runs: Iterable[Verdict]) -> Iterable[Outcome]:
    for run in runs:
        if run.error is not None and not isinstance(run.error, NotProven | StillRecording):
            yield Outcome(run.directory.path, run.run_id, error=run.error)
