"""What the checks look at: one run directory, and the machine and settings around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backhaul.runs.directory import RunDirectory
from backhaul.runs.life import Life
from backhaul.runs.local_run import LocalRun
from backhaul.runs.open_files import OpenFiles
from backhaul.sync.progress import LogStamp, Progress


@dataclass(frozen=True, slots=True)
class Patient:
    """A run whose log can be opened.

    `stamp` is the log as it was when the visit began, `life` says whether somebody still writes it, `ledger` what each
    destination has acknowledged; `open_files` is one look at all processes, `state_folder` where the user's receipts
    lie.
    """

    directory: RunDirectory
    run: LocalRun
    stamp: LogStamp
    life: Life
    ledger: Mapping[str, Progress]
    open_files: OpenFiles
    state_folder: Path

    @property
    def recording(self) -> bool:
        """Whether the run is still being written, here or elsewhere."""
        return self.life.goes_on

    @property
    def verified(self) -> bool:
        """Whether some destination was read back and equals the log."""
        return any(known.verified == self.stamp for known in self.ledger.values())


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the doctor was called: environment, working directory, home, and the folders that the runs lie in.

    `state_folder` is where ledgers lie that cannot lie beside their log. `writers` has the SDK releases that wrote the
    runs, `recording` the run directories that are being written. A disk is told from `full_from` on, a share of it.
    """

    env: Mapping[str, str]
    cwd: Path
    home: Path
    folders: tuple[Path, ...]
    state_folder: Path
    open_files: OpenFiles = field(default_factory=OpenFiles.look)
    writers: frozenset[str] = frozenset()
    recording: tuple[RunDirectory, ...] = ()
    full_from: float = 0.80
