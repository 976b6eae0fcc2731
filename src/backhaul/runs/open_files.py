"""Which processes of this host have files open or locked: whether a log is still written, whether a lock is held.

Only this host's processes can be seen (Linux's /proc), and those of other users by their locks only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_PROCESSES = Path("/proc")


def is_open_for_writing(log: Path) -> bool:
    """Whether some process that this user may look at has `log` open for writing; False for a writer elsewhere."""
    target = str(log.resolve())
    return any(file.path == target and file.is_written() for file in _open_files())


def files_open_for_writing() -> frozenset[str]:
    """The files that `is_open_for_writing` is true of, by their resolved paths: one look that serves many."""
    return frozenset(file.path for file in _open_files() if file.is_written())


def holders_of(path: Path) -> list[int]:
    """The processes that have `path` open, or locked under whatever name. Raises OSError when it is not there."""
    status, target = path.stat(), str(path.resolve())
    inode = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    return sorted({*_with_lock(inode), *(file.process for file in _open_files() if file.path == target)})


class _OpenFile(NamedTuple):
    """A file that a process has open, under its resolved name."""

    process: int
    path: str
    descriptor: str

    def is_written(self) -> bool:
        """Whether it is open for writing; False when it was closed meanwhile."""
        try:
            info = (_PROCESSES / str(self.process) / "fdinfo" / self.descriptor).read_text()
        except OSError:
            return False
        flags = next(line for line in info.splitlines() if line.startswith("flags:"))
        return int(flags.split()[1], 8) & os.O_ACCMODE != os.O_RDONLY


def _with_lock(inode: str) -> list[int]:
    # 1: FLOCK  ADVISORY  WRITE 1234 fd:00:5678 0 EOF
    try:
        lines = (_PROCESSES / "locks").read_text().splitlines()
    except OSError:
        return []
    fields = [line.split() for line in lines]
    return [int(line[4]) for line in fields if len(line) > 5 and line[5] == inode and int(line[4]) > 0]


def _open_files() -> Iterator[_OpenFile]:
    for process in _PROCESSES.glob("[0-9]*"):
        try:
            descriptors = list((process / "fd").iterdir())
        except OSError:
            # Processes end while we look, and those of other users are closed to us.
            continue
        for descriptor in descriptors:
            try:
                target = str(descriptor.readlink())
            except OSError:
                # It was closed in between.
                continue
            if target.startswith("/"):
                yield _OpenFile(int(process.name), target, descriptor.name)
