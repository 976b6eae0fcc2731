"""The folders that a disk guard looks after: their file systems and quotas measured, and what has to be done told."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from backhaul.doctor.quota import FILES, SPACE, Quota, quotas_of
from backhaul.doctor.room import room_of
from backhaul.unattended.disk_guard import Action, DiskGuard, Reading, Thresholds, Verdict

# A file server may have to be asked for quotas, by a program of its own: at most so often (seconds).
_QUOTAS_EVERY = 60.0


def measured(folder: Path, now: float, quotas: Sequence[Quota] = ()) -> Reading:
    """What may still be written to `folder`, by its file system and by these quotas on it. Raises OSError."""
    room = room_of(folder)
    space = [quota for quota in quotas if quota.what == SPACE]
    files = [quota for quota in quotas if quota.what == FILES]
    return Reading(
        now,
        max([room.used, *(quota.share for quota in space)]),
        min([room.free, *(quota.left for quota in space)]),
        max([room.inodes_used, *(quota.share for quota in files)]),
        min([room.inodes_free, *(quota.left for quota in files)]),
    )


@dataclass(frozen=True, slots=True)
class Filling:
    """A file system that needs something done, and the sentence that says so; `quotas` are those of its user."""

    folder: Path
    verdict: Verdict
    reading: Reading
    quotas: Sequence[Quota] = ()

    @property
    def actions(self) -> tuple[Action, ...]:
        """What to do, in this order."""
        return self.verdict.actions

    def __str__(self) -> str:
        text, full_in = self._measured(), self.verdict.full_in
        return text if full_in is None else f"{text}; at this pace it is full in {_time(full_in)}"

    def _measured(self) -> str:
        reading = self.reading
        fullest = next((quota for quota in self.quotas if quota.share == reading.fullest), None)
        if fullest is not None:
            left = _told(fullest.left) if fullest.what == SPACE else str(fullest.left)
            return f"your quota of {fullest.what} at {self.folder} is used to {fullest.share:.0%}; {left} are left"
        if reading.inodes_used > reading.used:
            return f"{reading.inodes_used:.0%} of the inodes at {self.folder} are used; {reading.inodes_free} are free"
        return f"the file system of {self.folder} is {reading.used:.0%} full; {_told(reading.free)} are free"


@dataclass(slots=True)
class _Guarded:
    """One file system: its guard, and the quotas as they were when they were asked for last."""

    guard: DiskGuard
    quotas: Sequence[Quota] = ()
    _ask_at: float = float("-inf")

    def judged(self, folder: Path, now: float, env: Mapping[str, str]) -> Filling:
        """Measure it. Raises OSError."""
        if now >= self._ask_at:
            self.quotas, self._ask_at = tuple(quotas_of(_existing(folder), env)), now + _QUOTAS_EVERY
        reading = measured(_existing(folder), now, self.quotas)
        return Filling(folder, self.guard.judge(reading), reading, self.quotas)


@dataclass(slots=True)
class GuardedFolders:
    """A disk guard for each file system that these folders, or the next ones above them that are there, lie on.

    `env` is that of the tools that tell quotas, `clock` gives seconds and only goes forward.
    """

    folders: Sequence[Path]
    thresholds: Thresholds
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)
    clock: Callable[[], float] = time.monotonic
    _guarded: dict[int, _Guarded] = field(default_factory=dict)

    def look(self) -> list[Filling]:
        """Measure each file system once, and say which of them need something done.

        A folder that cannot be looked at is passed over: it is measured again the next time.
        """
        now, found, seen = self.clock(), [], set()
        for folder in self.folders:
            try:
                device = _existing(folder).stat().st_dev
                if device in seen:
                    continue
                seen.add(device)
                guarded = self._guarded.setdefault(device, _Guarded(DiskGuard(self.thresholds)))
                filling = guarded.judged(folder, now, self.env)
            except OSError:
                continue
            if filling.actions:
                found.append(filling)
        return found


def _existing(folder: Path) -> Path:
    return next((place for place in (folder, *folder.parents) if place.is_dir()), folder)


def _told(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB" if size < 1 << 30 else f"{size / (1 << 30):.1f} GiB"


def _time(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
