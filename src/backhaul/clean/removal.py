"""Taking a run directory away so that no crash leaves half a run behind that looks like one.

The directory is first renamed, in one step, to a name by which no program takes it for a run, and then deleted. What a
crash leaves under such a name was proved before it got it, so the next cleaning finishes it.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from backhaul.clean.extent import Extent, extent_of
from backhaul.errors import NotProven, UnreadableFile
from backhaul.runs.directory import RunDirectory, is_run_directory_name
from backhaul.runs.new_file import sync_folder

_PREFIX = ".backhaul-removing-"


def withdraw(directory: RunDirectory, proved: Extent) -> Path:
    """Give the directory that holds what is `proved` the name under which it is deleted; durable when this returns.

    Raises NotProven when it has changed, OSError; the directory is as it was then.
    """
    doomed = directory.path.with_name(_PREFIX + directory.path.name)
    if os.path.lexists(doomed):
        raise NotProven(f"{doomed} is in the way.", next="Look at it, and delete or rename it.")
    directory.path.rename(doomed)
    # Who still had the old name could have written, or put something in, until now.
    if not _is_still(doomed, directory, proved):
        doomed.rename(directory.path)
        raise NotProven("The run directory has changed while it was looked at.")
    sync_folder(doomed.parent)
    return doomed


def _is_still(doomed: Path, directory: RunDirectory, proved: Extent) -> bool:
    try:
        return extent_of(RunDirectory(doomed, doomed / directory.log.name)).changed == proved.changed
    except UnreadableFile:
        return False


def finish(doomed: Path) -> None:
    """Delete what `withdraw` or `unfinished` gave; links go, what they lead to stays. Raises OSError."""
    while os.path.lexists(doomed):
        # Another cleaning may work on the same: what it took away is what we wanted.
        with suppress(FileNotFoundError):
            shutil.rmtree(doomed)
    sync_folder(doomed.parent)


def unfinished(folder: Path) -> list[Path]:
    """The directories in `folder` whose deletion this user has begun."""
    return sorted(path for path in folder.glob(f"{_PREFIX}*") if _is_ours(path))


def _is_ours(path: Path) -> bool:
    is_folder = path.is_dir() and not path.is_symlink()
    return is_folder and is_run_directory_name(path.name.removeprefix(_PREFIX)) and path.stat().st_uid == os.geteuid()
