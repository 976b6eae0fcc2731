"""What a user may ask of a sync."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from backhaul.runs.life import DEAD_AFTER
from backhaul.runs.roots import AS_RECORDED, Roots
from backhaul.sync.at_once import MOST_RUNS
from backhaul.sync.batch import BATCH_BYTES
from backhaul.sync.policy import ArtifactPolicy
from backhaul.sync.read_back import READ_BACK_FOR
from backhaul.sync.retry import Patience


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """How runs are sent.

    `state_folder` holds receipts, and ledgers that cannot lie beside their log. `exclude` are glob patterns of file
    names, `max_file_size` bytes (None: any), `artifacts` says which of them are wanted; `roots` where folders of the
    recording machine lie now. `read_back_for` is how long, in
    seconds, the destination may take to show what it acknowledged. `force` sends although the destination holds other
    content. `live` follows runs that are still being recorded, with `live_every` seconds or more between two readings;
    a writer that cannot be seen counts as dead when nothing has changed for `dead_after` seconds.
    """

    state_folder: Path
    jobs: int = MOST_RUNS
    uploads: int = 8
    exclude: tuple[str, ...] = ()
    max_file_size: int | None = None
    roots: Roots = AS_RECORDED
    artifacts: ArtifactPolicy = field(default_factory=ArtifactPolicy)
    force: bool = False
    deadline: float | None = None
    patience: Patience = field(default_factory=Patience)
    read_back_for: float = READ_BACK_FOR
    batch_bytes: int = BATCH_BYTES
    live: bool = False
    live_every: float = 15.0
    dead_after: float = DEAD_AFTER

    def excludes(self, name: str, size: int) -> str | None:
        """Why a file is left out by the user's own wish, or None."""
        for pattern in self.exclude:
            if fnmatch(name, pattern):
                return f"excluded by {pattern!r}"
        if self.max_file_size is not None and size > self.max_file_size:
            return f"larger than the {self.max_file_size} bytes allowed"
        return None
