"""The user's own quotas, as the system's tools tell them: `lfs quota` on Lustre, `quota` elsewhere (NFS too)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from backhaul.runs.mounts import Mount, MountTable

# NFS asks the file server, which may not answer.
_PATIENCE = 10.0
# What both tools print of a file system: its place, then used, quota, limit and grace of space (KiB) and of files.
_COLUMNS = 9
SPACE, FILES = "space", "files"
# How many bytes, or files, one unit of the columns is.
_UNITS = {SPACE: 1024, FILES: 1}


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota of `what` (`SPACE` or `FILES`): the share of it that is used, what is left of it (bytes, or files), and
    the columns that say so.
    """

    what: str
    share: float
    left: int
    line: str


def quotas_of(folder: Path, env: Mapping[str, str]) -> Iterator[Quota]:
    """The quotas that hold for this user's files in `folder`, his own and his group's; none where nobody tells any."""
    mount = MountTable.of_this_host().holding(folder)
    for command in _commands(mount):
        words = _said(command, env)
        for place, word in enumerate(words):
            if word == str(mount.point):
                # Both tools break the line behind a long name.
                yield from _quotas_in(command[0], words[place : place + _COLUMNS])


def _commands(mount: Mount) -> list[list[str]]:
    if mount.kind.startswith("lustre"):
        ids = ("-u", os.geteuid()), ("-g", os.getegid())
        return [["lfs", "quota", "-q", whose, str(number), str(mount.point)] for whose, number in ids]
    return [["quota", "-u", "-g", "-w", "-p", "-v", "--hide-device", "--show-mntpoint"]]


def _said(command: list[str], env: Mapping[str, str]) -> list[str]:
    try:
        done = subprocess.run(
            command,
            env=dict(env),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        # Not installed, or nobody answers: then nothing is known, which is no finding.
        return []
    return done.stdout.split()


def _quotas_in(tool: str, columns: list[str]) -> Iterator[Quota]:
    if len(columns) < _COLUMNS:
        return
    line = f"{tool} says: {' '.join(columns)}"
    for what, (used, quota, limit) in ((SPACE, columns[1:4]), (FILES, columns[5:8])):
        try:
            # A star marks what is over the quota, brackets what Lustre does not know for sure.
            amount, limits = int(used.strip("*[]")), [number for number in (int(quota), int(limit)) if number]
        except ValueError:
            continue
        if limits:
            # Over the quota nothing more can be written when the time of grace is over, over the limit at once.
            most = min(limits)
            yield Quota(what, amount / most, max(0, most - amount) * _UNITS[what], line)
