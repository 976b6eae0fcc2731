"""What kind of file system a path lies on."""

from __future__ import annotations

from pathlib import Path

from backhaul.runs.mounts import MountTable


def kind_of(path: Path) -> str:
    """The name of the file system that `path` lies on (`ext4`, `nfs4`, …), empty when the system does not say."""
    return MountTable.of_this_host().holding(path).kind


def mount_of(path: Path) -> Path:
    """Where the file system that `path` lies on is mounted; the root when the system does not say."""
    return MountTable.of_this_host().holding(path).point


def is_shared(path: Path) -> bool:
    """Whether other hosts may have the same files open; True as well when the system does not say."""
    return MountTable.of_this_host().holding(path).is_shared
