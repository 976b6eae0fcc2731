"""W&B's own marker, `run-ID.wandb.synced`: written here alone, and only for a run that was read back."""

from __future__ import annotations

import errno

from backhaul.runs.directory import RunDirectory

_NOT_HERE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def write_synced_marker(directory: RunDirectory) -> bool:
    """Tell the official tools that this run has arrived. False where the directory is read-only: the receipt stands."""
    try:
        directory.synced_marker.touch()
    except OSError as error:
        if error.errno in _NOT_HERE:
            return False
        raise
    return True
