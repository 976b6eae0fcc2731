"""Measuring the room on a file system: the disk guard's door to the disk."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backhaul.doctor.room import room_of
from backhaul.unattended.disk_guard import Action, DiskGuard, Reading, Thresholds, Verdict


def measured(folder: Path, now: float) -> Reading:
    """The file system that `folder`, or the next folder above it that is there, lies on. Raises OSError."""
    room = room_of(_existing(folder))
    return Reading(now, room.used, room.free, room.inodes_used, room.inodes_free)


@dataclass(frozen=True, slots=True)
class Filling:
    """A file system that needs something done, and the sentence that says so."""

    folder: Path
    verdict: Verdict
    reading: Reading

    @property
    def actions(self) -> tuple[Action, ...]:
        """What to do, in this order."""
        return self.verdict.actions

    def __str__(self) -> str:
        reading, full_in = self.reading, self.verdict.full_in
        text = f"the file system of {self.folder} is {reading.used:.0%} full; {_told(reading.free)} are free"
        if reading.inodes_used > reading.used:
            text = f"{reading.inodes_used:.0%} of the inodes at {self.folder} are used; {reading.inodes_free} are free"
        return text if full_in is None else f"{text}; at this pace it is full in {_time(full_in)}"


class GuardedFolders:
    """A disk guard for each file system that these folders lie on."""

    def __init__(self, folders: Sequence[Path], thresholds: Thresholds) -> None:
        self._folders = tuple(folders)
        self._thresholds = thresholds
        self._guards: dict[int, DiskGuard] = {}

    def look(self) -> list[Filling]:
        """Measure each file system once, and say which of them need something done.

        A folder that cannot be looked at is passed over: it is measured again the next time.
        """
        now, found, seen = time.monotonic(), [], set()
        for folder in self._folders:
            try:
                device, reading = _existing(folder).stat().st_dev, measured(folder, now)
            except OSError:
                continue
            if device in seen:
                continue
            seen.add(device)
            guard = self._guards.setdefault(device, DiskGuard(self._thresholds))
            verdict = guard.judge(reading)
            if verdict.actions:
                found.append(Filling(folder, verdict, reading))
        return found


def _existing(folder: Path) -> Path:
    return next((place for place in (folder, *folder.parents) if place.is_dir()), folder)


def _told(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB" if size < 1 << 30 else f"{size / (1 << 30):.1f} GiB"


def _time(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
