"""What has befallen a run: told as an error of the one tree, whatever it was; and whether it befalls all others too."""

from __future__ import annotations

import errno
from collections.abc import Awaitable

from backhaul.errors import (
    BackhaulError,
    ConfigurationError,
    ConnectionRefused,
    DiskFull,
    HostNotFound,
    QuotaExceeded,
    TemporaryError,
    UnreadableFile,
)
from backhaul.runs.new_file import FULL

_NOT_TO_BE_READ = frozenset(
    {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.EIO, errno.ESTALE}
)


def told(error: Exception) -> BackhaulError:
    """The error of the one tree that tells a user about `error`.

    The disk's own failures are classified; anything else is a bug of ours, and is told as one (exit code 1) for this
    run alone, so that the others go on.
    """
    if isinstance(error, BackhaulError):
        return error
    if not isinstance(error, OSError):
        return BackhaulError(f"{type(error).__name__}: {error}")
    where = f"{error.filename}: " if error.filename else ""
    message = f"{where}{error.strerror or error}"
    if error.errno in FULL:
        return DiskFull(f"There is no space left: {message}.")
    return UnreadableFile(message) if error.errno in _NOT_TO_BE_READ else TemporaryError(message)


async def mishap_of(work: Awaitable[object]) -> BackhaulError | None:
    """What befell one run while `work` was done on it; None when nothing did."""
    try:
        await work
    except Exception as error:  # noqa: BLE001 - the last door of one run: its failure must not end the others.
        return told(error)
    return None


def is_for_all(error: BackhaulError) -> bool:
    """Whether no run can get through as long as this lasts: the line is dead, or the credentials are refused."""
    # A quota is that of one entity.
    is_of_the_way = isinstance(error, HostNotFound | ConnectionRefused | ConfigurationError)
    return is_of_the_way and not isinstance(error, QuotaExceeded)
