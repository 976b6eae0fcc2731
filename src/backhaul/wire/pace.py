"""How many bytes a second may leave: a rate, or a timetable of rates. Time is passed in; nothing here waits."""

from __future__ import annotations

import re
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from backhaul.errors import UsageError

_RATE = re.compile(r"(\d+(?:\.\d+)?)([KMG]?)(?:I?B)?", re.IGNORECASE)
_POWER = {"": 0, "K": 1, "M": 2, "G": 3}
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
# What may leave at once after a silence: seconds' worth of the rate.
_BURST = 0.25
_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Timetable:
    """Rates in bytes a second (None: no limit), each from a minute of the day on; the last lasts past midnight."""

    changes: tuple[tuple[int, float | None], ...]

    @classmethod
    def of(cls, text: str) -> Self:
        """`2M`, `512k`, `off`, or a timetable: `08:00,512k 19:00,off`, local time. Raises UsageError."""
        words = text.split()
        if len(words) == 1 and "," not in words[0]:
            return cls(((0, _rate(words[0])),))
        changes = sorted(_change(word) for word in words)
        if not changes or len({minute for minute, _ in changes}) < len(changes):
            raise UsageError(f"{text!r} is no bandwidth; write 2M, or 08:00,512k 19:00,off with each time once.")
        return cls(tuple(changes))

    def rate_at(self, minute: int) -> float | None:
        """The rate at a minute of the day."""
        return self.changes[bisect_right(self.changes, minute % _DAY, key=lambda change: change[0]) - 1][1]


class Pace:
    """One bucket for all connections: who wants to send is told how long to wait first.

    `clock` gives seconds of any origin, `minute` the minute of the local day.
    """

    def __init__(
        self,
        timetable: Timetable,
        clock: Callable[[], float] = time.monotonic,
        minute: Callable[[], int] = lambda: time.localtime().tm_hour * 60 + time.localtime().tm_min,
    ) -> None:
        self._timetable = timetable
        self._clock = clock
        self._minute = minute
        self._free_at = float("-inf")

    def wait_before(self, size: int) -> float:
        """Seconds until `size` bytes may leave; they are counted as sent then."""
        rate = self._timetable.rate_at(self._minute())
        now = self._clock()
        if rate is None:
            self._free_at = now
            return 0.0
        begin = max(self._free_at, now - _BURST)
        self._free_at = begin + size / rate
        return max(0.0, begin - now)


def _change(word: str) -> tuple[int, float | None]:
    at, _, rate = word.partition(",")
    match = _TIME.fullmatch(at)
    if match is None:
        raise UsageError(f"{at!r} is no time of a timetable; write 08:00,512k 19:00,off.")
    return int(match[1]) * 60 + int(match[2]), _rate(rate)


def _rate(text: str) -> float | None:
    if text.lower() == "off":
        return None
    match = _RATE.fullmatch(text)
    rate = float(match[1]) * 1024 ** _POWER[match[2].upper()] if match else 0.0
    if rate < 1:
        raise UsageError(f"{text!r} is no bandwidth; write 512k, 2M or off (bytes a second).")
    return rate
