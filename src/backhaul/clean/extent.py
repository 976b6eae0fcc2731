"""What a run directory holds, entry by entry: all of it has to be accounted for before any of it may go."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from backhaul.errors import UnreadableFile
from backhaul.runs.directory import OF_THE_SDK, RunDirectory
from backhaul.sync.checkpoints import SUFFIXES
from backhaul.sync.ledger import SUFFIX as LEDGER

# What lies beside a log: W&B's marker and state, the ledger, the ledger's owner and successor, its checkpoint.
_OF_THE_LEDGER = tuple(LEDGER + suffix for suffix in ("", ".owner", ".new", *SUFFIXES))
_BESIDE_THE_LOG = ("", ".synced", ".syncstate", *_OF_THE_LEDGER)


@dataclass(frozen=True, slots=True)
class Extent:
    """Everything in one run directory.

    `files` are the entries of its `files` folder by their names on a server. `strangers` are entries that belong to no
    run, such as a second log. `changed` is what tells a change of any entry: kind, size and time of change, by its path
    in the directory; not of folders, and not of what a ledger writes. `frees` is how many bytes of the disk a deletion
    gives back: what a link leads to, and what has a second name elsewhere, stays.
    """

    files: Mapping[str, Path]
    strangers: tuple[Path, ...]
    frees: int
    changed: Mapping[str, tuple[int, int, int]]


def extent_of(directory: RunDirectory) -> Extent:
    """Look at every entry; links are entries, and are never followed. Raises UnreadableFile."""
    files: dict[str, Path] = {}
    strangers: list[Path] = []
    changed: dict[str, tuple[int, int, int]] = {}
    frees = 0
    known = {directory.log.name + suffix for suffix in _BESIDE_THE_LOG}
    try:
        for path, status in _entries(directory.path):
            relative = path.relative_to(directory.path)
            frees += _freed(status)
            if not stat.S_ISDIR(status.st_mode) and not path.name.startswith(directory.log.name + LEDGER):
                changed[str(relative)] = status.st_mode, status.st_size, status.st_mtime_ns
            if not _is_removable(directory.path, path, status):
                strangers.append(path)
            elif stat.S_ISDIR(status.st_mode) or relative.parts[0] in OF_THE_SDK or str(relative) in known:
                continue
            elif relative.parts[0] == directory.files.name and len(relative.parts) > 1:
                files[relative.relative_to(directory.files.name).as_posix()] = path
            else:
                strangers.append(path)
    except OSError as error:
        raise UnreadableFile(f"{directory.path} cannot be read: {error.strerror or error}") from error
    return Extent(files, tuple(strangers), frees, changed)


def _entries(top: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Everything below `top`, folders too."""
    for entry in sorted(top.iterdir()):
        status = entry.lstat()
        yield entry, status
        if stat.S_ISDIR(status.st_mode):
            yield from _entries(entry)


def _is_removable(top: Path, path: Path, status: os.stat_result) -> bool:
    """Whether it is a file, link or folder on the run's own file system, in a folder that this user may change."""
    kind = status.st_mode
    ordinary = stat.S_ISREG(kind) or stat.S_ISLNK(kind) or stat.S_ISDIR(kind)
    return ordinary and status.st_dev == top.stat().st_dev and os.access(path.parent, os.W_OK | os.X_OK)


def _freed(status: os.stat_result) -> int:
    return status.st_blocks * 512 if stat.S_ISDIR(status.st_mode) or status.st_nlink == 1 else 0
