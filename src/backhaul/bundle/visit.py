"""A bundle as if it were a folder of runs: what a command that looks at it has of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from backhaul.errors import BackhaulError

# What reads bundles takes long to load, and most commands visit none.
if TYPE_CHECKING:
    from backhaul.bundle.opening import Bundle
    from backhaul.bundle.unpacking import Unpacked


@dataclass(frozen=True, slots=True)
class Visited:
    """A bundle, the folder that it was unpacked in, and what came of its files."""

    bundle: Bundle
    folder: Path
    unpacked: Unpacked

    @property
    def logs(self) -> list[Path]:
        """The logs of its runs that are whole."""
        logs = (self.folder / run.log_member for run in self.bundle.manifest.runs)
        return [log for log in logs if log.is_file()]


@dataclass(slots=True)
class Visit:
    """The paths of a command with bundles opened: `paths` are their logs instead. Set `keep` to leave them unpacked."""

    paths: tuple[Path, ...]
    bundles: list[Visited] = field(default_factory=list)
    keep: bool = False

    @property
    def error(self) -> BackhaulError | None:
        """The first thing that is wrong with a bundle."""
        return next((error for each in self.bundles if (error := each.unpacked.error) is not None), None)

    def exit_code(self, of_runs: int) -> int:
        """The exit code of a command whose runs would end it with `of_runs`."""
        return of_runs or (self.error.exit_code if self.error else 0)
