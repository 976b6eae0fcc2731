"""How much room a file system has: for the doctor's check, and for the guard that watches it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Room:
    """What a file system has left for a user: `used` and `inodes_used` are shares, `free` is in bytes."""

    used: float
    free: int
    inodes_used: float
    inodes_free: int
    blocks_free: int


def room_of(folder: Path) -> Room:
    """The room on the file system that `folder` lies on, as `df` counts it. Raises OSError."""
    status = os.statvfs(folder)
    # What is reserved for root is not there for us.
    return Room(
        used=_share(status.f_blocks - status.f_bfree, status.f_bavail),
        free=status.f_bavail * status.f_frsize,
        inodes_used=_share(status.f_files - status.f_ffree, status.f_favail),
        inodes_free=status.f_favail,
        blocks_free=status.f_bavail,
    )


def _share(used: int, free: int) -> float:
    return used / (used + free) if used + free else 0.0
