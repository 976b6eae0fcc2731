"""The ledger's file: one writer at a time, every append durable.

An advisory lock (flock) on the file itself; the system lets go of it when its owner dies, so there is no leftover to
remove. On a file system without locks the lock is not to be had, and the last writer's name is looked at instead:
beside the ledger lies then `….owner` with host, pid and start time, which is taken over only when its owner is provably
gone.

While it is held it has room for some hundred entries ahead of its end: a job that fills the disk must not stop us from
remembering what has arrived. What is left of the room is given back at the end.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path

from backhaul.errors import RunBusy
from backhaul.runs.lock_owner import Owner
from backhaul.runs.new_file import sync_folder
from backhaul.sync.preallocation import give_back, reserve

_NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL})
_HELD = frozenset({errno.EWOULDBLOCK, errno.EACCES})
# Bytes; an entry has some hundred.
_ROOM = 64 << 10


class LedgerLock:
    """Exclusive hold of a ledger file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._owner_path = path.with_name(path.name + ".owner")
        self._descriptor = -1
        self._owns_file = False
        self._may_be_new = False
        self._size = 0
        self._room_until = 0

    def acquire(self) -> bytes:
        """Take the file, making it if need be, and return its content. Raises RunBusy and OSError."""
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            try:
                self._lock(descriptor)
                # Between open and lock the file may have been replaced by a compacted one.
                if _same_file(descriptor, self._path):
                    content = _read_all(descriptor)
                    self._descriptor, self._size = descriptor, len(content)
                    self._may_be_new = not content
                    self._room_until = reserve(descriptor, _ROOM)
                    return content
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def append(self, data: bytes) -> None:
        """Write at the end; on the disk when this returns. Raises OSError; a part may then have been written."""
        _write_all(self._descriptor, data)
        os.fsync(self._descriptor)
        self._size += len(data)
        if self._may_be_new:
            # Perhaps made just now: what is written to it survives a power cut only if its name does. Behind the file,
            # whose flush has written the name on most file systems, this waits for nothing.
            sync_folder(self._path.parent)
            self._may_be_new = False
        if self._room_until - self._size < _ROOM // 2 and self._room_until > self._size:
            self._room_until = max(self._room_until, reserve(self._descriptor, _ROOM))

    def replace(self, content: bytes) -> None:
        """Put a new file in the old one's place, keeping hold. Raises OSError; the old file is then as it was."""
        fresh = self._path.with_name(self._path.name + ".new")
        descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            self._lock(descriptor)
            _write_all(descriptor, content)
            os.fsync(descriptor)
            fresh.replace(self._path)
        except BaseException:
            os.close(descriptor)
            # On a full disk nobody can use what there is of it.
            fresh.unlink(missing_ok=True)
            raise
        os.close(self._descriptor)
        self._descriptor, self._size = descriptor, len(content)
        self._room_until = reserve(descriptor, _ROOM)
        sync_folder(self._path.parent)

    def release(self) -> None:
        """Let go; nothing happens when nothing is held."""
        if self._descriptor >= 0:
            if self._room_until > self._size:
                with contextlib.suppress(OSError):
                    # It is taken again, and then given back, the next time.
                    give_back(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
        if self._owns_file:
            self._owner_path.unlink(missing_ok=True)
            self._owns_file = False

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD:
                raise RunBusy(f"Another process is syncing this run: it holds {self._path}.") from error
            if error.errno not in _NO_LOCKS:
                raise
            self._claim()

    def _claim(self) -> None:
        if self._owns_file:
            return
        try:
            with self._owner_path.open("x") as file:
                file.write(Owner.me().text())
        except FileExistsError:
            if not _is_gone(self._owner_path):
                raise RunBusy(
                    f"Another process may be syncing this run: see {self._owner_path}.",
                    next=f"If no Backhaul process works on this run on any host, remove {self._owner_path}.",
                ) from None
            self._owner_path.write_text(Owner.me().text())
        self._owns_file = True


def _is_gone(owner_path: Path) -> bool:
    """Whether the process named there is provably not running: it was on this host, and is no more."""
    try:
        owner, made_at = Owner.named_in(owner_path), owner_path.stat().st_ctime
    except OSError:
        return False
    if owner is None or owner.host is None or owner.may_be_elsewhere():
        return False
    return not owner.is_alive(made_at)


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _read_all(descriptor: int) -> bytes:
    parts = []
    os.lseek(descriptor, 0, os.SEEK_SET)
    while part := os.read(descriptor, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
