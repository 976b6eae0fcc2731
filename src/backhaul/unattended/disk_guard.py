"""What is to be done about a disk that fills: a function of what was measured, and nothing else.

The guard remembers what it has told, so that each thing is said and done once for as long as it goes on; it measures
nothing and does nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

# The pace is that of the last minutes: long enough that one checkpoint is no trend.
_REMEMBERED = 600.0
_LEAST_FOR_A_PACE = 120.0
# Below the threshold by so much (a share) it counts as over, so that a disk at the edge is not told again and again.
_OVER_BELOW = 0.02


@dataclass(frozen=True, slots=True)
class Reading:
    """A file system at one moment: `used` and `inodes_used` are shares of what a user may have, `free` is in bytes.

    `at` is in seconds of any clock that only goes forward.
    """

    at: float
    used: float
    free: int
    inodes_used: float = 0.0
    inodes_free: int = 0

    @property
    def fullest(self) -> float:
        """The share that will run out first."""
        return max(self.used, self.inodes_used)


class Action(StrEnum):
    """What may be done when a disk is nearly full."""

    WARN = "warn"
    SYNC = "sync"
    CLEAN = "clean"
    LINK_MEDIA = "link-media"
    COPY_MEDIA = "copy-media"
    SIGNAL = "signal"


CHOICES = tuple(action for action in Action if action not in (Action.WARN, Action.COPY_MEDIA))
"""What a user may choose; the others follow from it."""

# What need not or must not be done again.
_ONCE = frozenset({Action.SIGNAL, Action.LINK_MEDIA})


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When to warn and when to act (shares), what to do then, and how soon a full disk is told (seconds)."""

    warn: float = 0.80
    act: float = 0.95
    actions: tuple[Action, ...] = (Action.SYNC,)
    soon: float = 3600.0
    again_after: float = 600.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do now, in this order, and how long, in seconds, until the disk is full (None: it does not fill)."""

    actions: tuple[Action, ...] = ()
    full_in: float | None = None


@dataclass(slots=True)
class DiskGuard:
    """Judges one file system, reading by reading."""

    thresholds: Thresholds = field(default_factory=Thresholds)
    _readings: list[Reading] = field(default_factory=list)
    _warned: bool = False
    _acted_at: float | None = None

    def judge(self, reading: Reading) -> Verdict:
        """What to do after this reading.

        A warning comes once when the first threshold is passed or the disk will soon be full, the actions when the
        second is passed and again every `again_after` seconds while that lasts; a signal to the job comes once. When it
        is over, media files that were linked may be copied again.
        """
        self._remember(reading)
        full_in = time_to_full(self._readings)
        limits, actions = self.thresholds, []
        filling = reading.fullest >= limits.warn or (full_in is not None and full_in <= limits.soon)
        if filling and not self._warned:
            self._warned = True
            actions.append(Action.WARN)
        if reading.fullest >= limits.act:
            actions += self._due(reading.at)
        elif reading.fullest < limits.act - _OVER_BELOW:
            if self._acted_at is not None and Action.LINK_MEDIA in limits.actions:
                actions.append(Action.COPY_MEDIA)
            self._acted_at = None
        if not filling and reading.fullest < limits.warn - _OVER_BELOW:
            self._warned = False
        return Verdict(tuple(actions), full_in)

    def _due(self, now: float) -> tuple[Action, ...]:
        last, limits = self._acted_at, self.thresholds
        if last is not None and now - last < limits.again_after:
            return ()
        self._acted_at = now
        return limits.actions if last is None else tuple(each for each in limits.actions if each not in _ONCE)

    def _remember(self, reading: Reading) -> None:
        self._readings.append(reading)
        while self._readings[0].at < reading.at - _REMEMBERED:
            self._readings.pop(0)


def time_to_full(readings: Sequence[Reading]) -> float | None:
    """Seconds until the disk is full at the pace of these readings; None when it does not fill, or who knows."""
    if len(readings) < 2:
        return None
    first, last = readings[0], readings[-1]
    seconds = last.at - first.at
    if seconds < _LEAST_FOR_A_PACE:
        return None
    paces = ((first.free - last.free, last.free), (first.inodes_free - last.inodes_free, last.inodes_free))
    return min((free * seconds / taken for taken, free in paces if taken > 0), default=None)
