"""A run directory: one fragment of a run, as it lies on disk. Nothing here writes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

# <kind>-<YYYYMMDD_HHMMSS>-<run id>[suffix]; the id in the name is a hint only, the log's run record decides.
_NAME = re.compile(r"(?P<kind>offline-run|offline-repaired|run)-(?P<time>\d{8}_\d{6})-(?P<run_id>.+)")

OF_THE_SDK = frozenset({"logs", "tmp"})
"""Folders that the SDK keeps for its own use, and sends to no server: debug logs, code on its way to an artifact."""


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """One run directory with its one transaction log.

    `path` is the directory, `log` the `.wandb` file in it, `offline` whether the run was recorded in offline mode
    (by the directory's name), `run_id_hint` the id by the log's name.
    """

    path: Path
    log: Path

    @property
    def files(self) -> Path:
        """Where the run's saved files and media lie."""
        return self.path / "files"

    @property
    def synced_marker(self) -> Path:
        """W&B's own marker. Its existence is its whole state; it proves nothing."""
        return self.log.with_name(self.log.name + ".synced")

    @property
    def offline(self) -> bool:
        """Whether the folder's name says that the run was recorded offline."""
        match = _NAME.fullmatch(self.path.name)
        return match is None or match["kind"] != "run"

    @property
    def repaired(self) -> bool:
        """Whether the folder's name says that a repair made it; no job writes into such a one."""
        match = _NAME.fullmatch(self.path.name)
        return match is not None and match["kind"] == "offline-repaired"

    @property
    def run_id_hint(self) -> str:
        """The run id by the log's file name."""
        return self.log.stem.removeprefix("run-")


def is_run_directory_name(name: str) -> bool:
    """Whether a folder of this name is what the SDK makes for a run."""
    return _NAME.fullmatch(name) is not None


def run_id_in(name: str) -> str | None:
    """The run id in the name of a folder that the SDK made for a run; None for any other folder."""
    match = _NAME.fullmatch(name)
    return match["run_id"] if match else None
