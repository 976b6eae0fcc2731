"""Which processes of this host have a file open, or hold a lock on it."""

from __future__ import annotations

import os
from pathlib import Path


def holders_of(path: Path) -> list[int]:
    """Processes that have `path` open or locked (Linux's /proc); those of other users are seen by their locks only."""
    status = path.stat()
    inode = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    return sorted({*_with_lock(inode), *_with_file_open(str(path.resolve()))})


def _with_lock(inode: str) -> list[int]:
    # 1: FLOCK  ADVISORY  WRITE 1234 fd:00:5678 0 EOF
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return []
    fields = [line.split() for line in lines]
    return [int(line[4]) for line in fields if len(line) > 5 and line[5] == inode and int(line[4]) > 0]


def _with_file_open(target: str) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(descriptor.readlink()) == target for descriptor in (process / "fd").iterdir()):
                found.append(int(process.name))
        except OSError:
            # Processes end while we look, and those of other users are closed to us.
            continue
    return found
