"""What this user sees at a path that a log names: nothing, where a folder is closed or a name is none for this system.

`pathlib` asks the system the same, and raises when the answer is that it must not or cannot tell.
"""

from __future__ import annotations

import stat
from pathlib import Path


def file_size(path: Path) -> int | None:
    """The bytes of the file that is there, or that a link there leads to; None when no file is seen."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def is_folder(path: Path) -> bool:
    """Whether a folder is seen there."""
    try:
        return path.is_dir()
    except OSError:
        return False


def link_of(path: Path) -> Path | None:
    """Where the link that is there leads to; None when none is seen."""
    try:
        return path.readlink()
    except (OSError, ValueError):
        return None
