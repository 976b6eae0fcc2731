"""Whether the file system that a path lies on is this host's own."""

from __future__ import annotations

from pathlib import Path

from backhaul.runs.mounts import MountTable


def is_shared(path: Path) -> bool:
    """Whether other hosts may have the same files open; True as well when the system does not say."""
    return MountTable.of_this_host().holding(path).is_shared
