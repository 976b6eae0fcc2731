"""What the checks look at: one run directory, and the machine and settings around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backhaul.runs.directory import RunDirectory
from backhaul.runs.local_run import LocalRun
from backhaul.sync.progress import Progress


@dataclass(frozen=True, slots=True)
class Patient:
    """A run whose log can be opened.

    `recording` says that a process of this host writes it, `ledger` what each destination has acknowledged.
    """

    directory: RunDirectory
    run: LocalRun
    recording: bool
    ledger: Mapping[str, Progress]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the doctor was called: environment, working directory, home, and the folders that the runs lie in."""

    env: Mapping[str, str]
    cwd: Path
    home: Path
    folders: tuple[Path, ...]
