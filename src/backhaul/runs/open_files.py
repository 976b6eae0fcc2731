"""Which processes of this host have files open or locked: whether a log is still written, whether a lock is held.

Only this host's processes can be seen (Linux's /proc), and those of other users by their locks only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

_PROCESSES = Path("/proc")
UNSEEN = 0
"""Stands for a process that holds a lock and that the system does not name."""


def is_open_for_writing(log: Path) -> bool:
    """Whether some process that this user may look at has `log` open for writing; False for a writer elsewhere."""
    target = str(log.resolve())
    return any(file.path == target and file.is_written() for file in _open_files())


def files_open_for_writing() -> frozenset[str]:
    """The files that `is_open_for_writing` is true of, by their resolved paths: one look that serves many."""
    return OpenFiles.look().written


@dataclass(frozen=True, slots=True)
class OpenFiles:
    """One look at all processes, which serves many questions.

    `written` are the files that `is_open_for_writing` is true of, by their resolved paths. `_holders` are the processes
    that have a file open, by its resolved path; `_lockers` those that have one locked, by its inode.
    """

    written: frozenset[str]
    _holders: Mapping[str, frozenset[int]]
    _lockers: Mapping[int, frozenset[int]]

    @classmethod
    def look(cls) -> Self:
        """What is open and locked now."""
        written: set[str] = set()
        holders: dict[str, set[int]] = {}
        for file in _open_files():
            holders.setdefault(file.path, set()).add(file.process)
            if file.path not in written and file.is_written():
                written.add(file.path)
        frozen = {path: frozenset(processes) for path, processes in holders.items()}
        return cls(frozenset(written), frozen, _locks())

    def is_written(self, log: Path) -> bool:
        """Whether some process has `log` open for writing."""
        return str(log.resolve()) in self.written

    def holders_of(self, path: Path) -> list[int]:
        """The other processes that have `path` open, or locked under whatever name; `UNSEEN` for one without a number.

        Raises OSError when it is not there.
        """
        # Of the device no two layers of the system tell the same (btrfs, overlays); a lock of another file that has the
        # same number makes us careful, no more.
        inode = path.stat().st_ino
        found = self._holders.get(str(path.resolve()), frozenset()) | self._lockers.get(inode, frozenset())
        return sorted(found - {os.getpid()})


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


def _locks() -> Mapping[int, frozenset[int]]:
    # 1: FLOCK  ADVISORY  WRITE 1234 fd:00:5678 0 EOF; who only waits has "->" before the kind. A lock that belongs to
    # an open file and not to a process has the number -1.
    try:
        lines = (_PROCESSES / "locks").read_text().splitlines()
    except OSError:
        return {}
    found: dict[int, set[int]] = {}
    for line in lines:
        fields = line.split()
        if len(fields) > 5 and fields[1] != "->":
            found.setdefault(int(fields[5].rpartition(":")[2]), set()).add(max(int(fields[4]), UNSEEN))
    return {inode: frozenset(processes) for inode, processes in found.items()}


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
