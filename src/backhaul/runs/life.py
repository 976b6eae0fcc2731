"""Whether a run is still being recorded: what can be known of its writer from this host.

On the host where it was recorded, the process either holds the log open or is gone. The processes of other hosts cannot
be seen; there, growth is the only sign of life. A copy that was just made looks as if it had just grown, so a directory
in which nothing is as old as the run is taken for a copy, which nobody writes.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backhaul.runs.directory import RunDirectory
from backhaul.runs.open_files import is_open_for_writing

# A run's first files are written within this time (seconds) of its start, also by a slow file system.
_FIRST_FILES_WITHIN = 600.0
_MOST_FILES_LOOKED_AT = 200
# Beside a log that a bundle brought: the run went on when it was packed, so this is not the end of it.
RECORDING_NOTE = ".recording"
_PACK_AGAIN = (
    "A bundle does not grow: when the job has ended, pack the run again and sync that bundle; it goes on where this "
    "one ends. If nothing more will come, unpack this one, remove {note} beside the log, and sync the folder: the run "
    "is then sent as one that was killed."
)

DEAD_AFTER = 900.0
"""For how long, in seconds, a log that is recorded out of sight may rest before its writer counts as dead."""


@dataclass(frozen=True, slots=True)
class Life:
    """Whether somebody still writes the log, and the sentence that says how that is known.

    `next` is what a user has to do for the rest of the run to come; None when to wait for it is enough.
    """

    goes_on: bool
    because: str
    next: str | None = None


def life_of(
    directory: RunDirectory,
    host: str,
    started: float,
    *,
    now: float,
    dead_after: float = DEAD_AFTER,
    written: frozenset[str] | None = None,
) -> Life:
    """Whether the log in `directory` is still being written.

    `host` is where the run was recorded (empty: not known), `started` and `now` are Unix seconds; a log on another host
    counts as given up when nothing in its directory has changed for `dead_after` seconds. `written` are the files that
    processes of this host have open for writing, if that is known already. Raises OSError when the log cannot be looked
    at.
    """
    if is_open_for_writing(directory.log) if written is None else str(directory.log.resolve()) in written:
        return Life(True, "a process of this host has its log open")
    if directory.repaired:
        return Life(False, "It has no exit record, and a repair made it, so that nobody writes it.")
    note = directory.log.with_name(directory.log.name + RECORDING_NOTE)
    if note.exists():
        return Life(True, "it went on when it was packed", _PACK_AGAIN.format(note=note.name))
    if host == socket.gethostname() and _sees_processes_of(directory.log):
        return Life(False, "The process that wrote it is gone, and left no exit record.")
    times = list(_times_of_change(directory))
    quiet_for = now - max(times)
    if quiet_for >= dead_after:
        return Life(False, f"Nothing of it has changed for {_told(quiet_for)}, and it has no exit record.")
    if min(times) > started + _FIRST_FILES_WITHIN:
        return Life(False, "It has no exit record, and this is a copy, which nobody writes.")
    where = f"on {host}, whose processes" if host else "by a process that"
    return Life(True, f"it changed {_told(max(0.0, quiet_for))} ago, and is recorded {where} cannot be seen from here")


def _sees_processes_of(log: Path) -> bool:
    """Whether a writer on this host would be seen: other users' processes are closed to us, except for root."""
    return os.geteuid() in (0, log.stat().st_uid)


def _times_of_change(directory: RunDirectory) -> Iterator[float]:
    yield directory.log.stat().st_mtime
    looked_at = 0
    for folder in (directory.path / "logs", directory.files):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.is_symlink() or looked_at == _MOST_FILES_LOOKED_AT:
                continue
            looked_at += 1
            try:
                yield path.stat().st_mtime
            except FileNotFoundError:
                continue


def _told(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
