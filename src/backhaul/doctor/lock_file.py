"""A lock file: is its owner alive, out of sight, or provably gone?"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import psutil

from backhaul.doctor.file_system import is_shared
from backhaul.runs.lock_owner import Owner, in_own_namespace
from backhaul.runs.open_files import UNSEEN, OpenFiles


class Hold(Enum):
    """What can be known of a lock's owner."""

    ALIVE = "a process of this host holds it"
    UNKNOWN = "it cannot be known from here whether anybody holds it"
    GONE = "its owner is gone"


@dataclass(frozen=True, slots=True)
class LockFile:
    """A lock file, what is known of its owner, and how."""

    path: Path
    hold: Hold
    because: str

    @classmethod
    def look_at(cls, path: Path, open_files: OpenFiles) -> LockFile:
        """What can be known of the lock file at `path`. Raises OSError when it is not there."""
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode):
            return cls(path, Hold.UNKNOWN, "it is a folder, which names no owner")
        if not stat.S_ISLNK(status.st_mode) and (pids := open_files.holders_of(path)):
            return cls(path, Hold.ALIVE, f"{_processes(pids)} has it open or locked")
        owner = Owner.named_in(path)
        if owner is None:
            return cls(path, *_of_nobody(path, status.st_ctime))
        return cls(path, *_of_owner(path, owner, status.st_ctime))

    def remove(self) -> None:
        """Delete the file if its owner is still gone; raises OSError, and leaves it, when that is no longer sure."""
        with _held(self.path):
            again = LockFile.look_at(self.path, OpenFiles.look())
            if again.hold is not Hold.GONE:
                raise OSError(errno.EBUSY, f"by now {again.because}")
            self.path.unlink()


def _of_nobody(path: Path, changed: float) -> tuple[Hold, str]:
    """A lock that names nobody, and that nobody has open: whoever made it by its mere presence may still run."""
    if not _may_be_elsewhere(path) and changed < psutil.boot_time():
        return Hold.GONE, "it is older than this host's last start, and the file system is this host's own"
    return Hold.UNKNOWN, "it names no owner, and no process that can be seen has it open or locked"


def _of_owner(path: Path, owner: Owner, made_at: float) -> tuple[Hold, str]:
    named = f"it names process {owner.pid}" + (f" on {owner.host}" if owner.host else "")
    if owner.may_be_elsewhere():
        return Hold.UNKNOWN, f"{named}, which cannot be seen from here"
    if owner.is_alive(made_at):
        return Hold.ALIVE, f"{named}, which runs"
    if owner.host is None and _may_be_elsewhere(path):
        return Hold.UNKNOWN, f"{named}, which may be one of another host or container"
    reused = " (another process has that number now)" if psutil.pid_exists(owner.pid) else ""
    return Hold.GONE, f"{named}, which runs no more{reused}"


def _may_be_elsewhere(path: Path) -> bool:
    """Whether processes that cannot be seen from here may use this file."""
    return is_shared(path) or in_own_namespace()


def _processes(pids: list[int]) -> str:
    named = ", ".join(_name(pid) for pid in pids)
    return f"process {named}"


def _name(pid: int) -> str:
    if pid == UNSEEN:
        return "(without a number)"
    try:
        return f"{pid} ({psutil.Process(pid).name()})"
    except psutil.Error:
        return str(pid)


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Hold the advisory lock of the file itself, so that nobody takes it while it goes. Raises OSError."""
    if path.is_symlink():
        yield
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
