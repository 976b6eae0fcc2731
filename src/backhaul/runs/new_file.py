"""A file that appears whole or not at all, and never in place of another."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from backhaul.errors import BackhaulError, DiskFull, UsageError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What the system says when a disk, or what of it this user may have, is full."""


@contextmanager
def new_file(path: Path, *, replace: bool = False) -> Iterator[BinaryIO]:
    """A file to write; when the block ends, it is flushed to the disk and gets the name `path`.

    When the block raises, nothing is left behind. A file that is there already is replaced only with `replace`.
    Raises UsageError when `path` exists or cannot be made, DiskFull when there is no room.
    """
    if not replace and os.path.lexists(path):
        raise already_there(path)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        name_file(part, path, replace=replace)
        sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        part.unlink(missing_ok=True)


def name_file(part: Path, path: Path, *, replace: bool) -> None:
    """Give a file that is whole its name. Raises UsageError when it is taken, unless it may be replaced; OSError."""
    if replace:
        part.replace(path)
        return
    try:
        # Unlike a rename, a link fails when somebody made `path` meanwhile.
        path.hardlink_to(part)
    except FileExistsError:
        raise already_there(path) from None
    except OSError:
        # A file system without hard links: the moment between the look and the rename is all that can be lost.
        if os.path.lexists(path):
            raise already_there(path) from None
        part.rename(path)


def sync_folder(folder: Path) -> None:
    """Make what was named or renamed in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def already_there(path: Path) -> UsageError:
    """The error for a place that is taken."""
    return UsageError(f"{path} exists already, and is not overwritten.", next="Move it away, or name another with -o.")


def unwritable(path: Path, error: OSError) -> BackhaulError:
    """The error for a place that cannot be written."""
    if error.errno in FULL:
        return DiskFull(
            f"There is no room left for {path}.",
            safe="Nothing was written; your run directories are unchanged.",
            next="Free some space, or name a place on another disk with -o.",
        )
    return UsageError(f"{path} cannot be written: {error.strerror or error}.", next="Name another place with -o.")
