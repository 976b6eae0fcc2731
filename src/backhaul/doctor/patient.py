"""What the checks look at: one run directory, and the machine and settings around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backhaul.runs.directory import RunDirectory
from backhaul.runs.local_run import LocalRun
from backhaul.sync.progress import LogStamp, Progress


@dataclass(frozen=True, slots=True)
class Patient:
    """A run whose log can be opened.

    `recording` says that a process of this host writes it, `ledger` what each destination has acknowledged;
    `state_folder` is where the user's receipts lie.
    """

    directory: RunDirectory
    run: LocalRun
    recording: bool
    ledger: Mapping[str, Progress]
    state_folder: Path

    @property
    def verified(self) -> bool:
        """Whether some destination was read back and equals the log as it is. Raises OSError."""
        stamp = LogStamp.of(self.run.log)
        return any(known.verified == stamp for known in self.ledger.values())


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the doctor was called: environment, working directory, home, and the folders that the runs lie in.

    `recording` are the run directories that are being written. A disk is told from `full_from` on, a share of it.
    """

    env: Mapping[str, str]
    cwd: Path
    home: Path
    folders: tuple[Path, ...]
    recording: tuple[RunDirectory, ...] = ()
    full_from: float = 0.80
