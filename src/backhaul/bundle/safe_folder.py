"""A folder into which names from elsewhere are written: nothing outside it is ever touched, nothing in it replaced.

Every step down is taken from the folder that was opened before, and never through a link; so neither a name nor a link
that lies there, or is put there meanwhile, leads out.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from backhaul.bundle.member import safe_name

_INTO = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


class SafeFolder:
    """Writes files below `path`, which is there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def size_of(self, name: str) -> int | None:
        """The bytes of what lies there under this name; None when nothing does. Raises OSError for what is no file."""
        try:
            with self._folder_of(name, make=False) as (folder, last):
                status = os.stat(last, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(status.st_mode):
            raise FileExistsError(errno.EEXIST, "it is no file", name)
        return status.st_size

    @contextmanager
    def reading(self, name: str) -> Iterator[BinaryIO]:
        """The file that lies there. Raises OSError."""
        with self._folder_of(name, make=False) as (folder, last):
            descriptor = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        with os.fdopen(descriptor, "rb") as file:
            yield file

    def new_file(self, name: str, mtime_ns: int | None = None) -> NewFile:
        """Begin a file; folders on the way are made. Raises OSError."""
        with self._folder_of(name, make=True) as (folder, last):
            return NewFile(os.dup(folder), last, mtime_ns)

    @contextmanager
    def _folder_of(self, name: str, *, make: bool) -> Iterator[tuple[int, str]]:
        """The folder that a file is to lie in, opened, and the last part of its name."""
        *parts, last = safe_name(name).split("/")
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in parts:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, dir_fd=folder)
                below = os.open(part, _INTO, dir_fd=folder)
                os.close(folder)
                folder = below
            yield folder, last
        finally:
            os.close(folder)


class NewFile:
    """A file without a name yet: `finish` gives it one, `abandon` leaves nothing of it. One of them must be called."""

    def __init__(self, folder: int, name: str, mtime_ns: int | None) -> None:
        self._folder = folder
        self._name = name
        self._mtime_ns = mtime_ns
        self._part = f".{secrets.token_hex(6)}.part"
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._file = os.fdopen(os.open(self._part, flags, 0o644, dir_fd=folder), "wb")
        except BaseException:
            os.close(folder)
            raise

    def write(self, content: bytes) -> None:
        """Write at the end. Raises OSError."""
        self._file.write(content)

    def finish(self) -> None:
        """Whole and on the disk, with its name. Raises FileExistsError when that is taken, OSError; nothing is left."""
        try:
            self._file.flush()
            if self._mtime_ns is not None:
                os.utime(self._file.fileno(), ns=(self._mtime_ns, self._mtime_ns))
            os.fsync(self._file.fileno())
            _name(self._folder, self._part, self._name)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Nothing of it stays, unless it has its name."""
        try:
            # What did not fit on the disk is not flushed either.
            with suppress(OSError):
                self._file.close()
            with suppress(FileNotFoundError):
                os.unlink(self._part, dir_fd=self._folder)
        finally:
            os.close(self._folder)


def _name(folder: int, part: str, last: str) -> None:
    try:
        # Unlike a rename, a link fails when the name is taken.
        os.link(part, last, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without hard links.
        try:
            os.stat(last, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            os.rename(part, last, src_dir_fd=folder, dst_dir_fd=folder)
        else:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), last) from error
