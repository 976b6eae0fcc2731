"""How far a sync is: what its events add up to."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backhaul.errors import BackhaulError
from backhaul.sync.event import Event, EventKind

# A rate of the last seconds says more about the line than the mean since the beginning.
_WINDOW = 20.0
_BETWEEN_SAMPLES = 0.5
# What a second or two have shown is no forecast.
_FORECAST_AFTER = 3.0


@dataclass(slots=True)
class Course:
    """A run on its way, or all of them: of `log_size` bytes of logs `position` have been sent; lines and bytes so far.

    `heard` is when something was last told of it, `waiting` why its last request is tried again, and since when (all
    Unix seconds).
    """

    log_size: int = 0
    position: int = 0
    lines: int = 0
    size: int = 0
    heard: float = 0.0
    waiting: tuple[BackhaulError, float] | None = None
    over: bool = False
    _samples: deque[tuple[float, int, int]] = field(default_factory=deque)

    @property
    def left(self) -> int:
        """Bytes of the logs that are still to be sent."""
        return self.log_size - self.position

    @property
    def share(self) -> float:
        """Which part of the logs is sent, 0 to 1."""
        return self.position / self.log_size if self.log_size else 0.0

    @property
    def rate(self) -> float | None:
        """Bytes of lines and files a second, of late; None before that can be said."""
        return self._per_second(2)

    @property
    def seconds_left(self) -> float | None:
        """How long the logs still take at the pace of late; files to come are not foreseen. None: cannot be said."""
        if not self._samples or self._samples[-1][0] - self._samples[0][0] < _FORECAST_AFTER:
            return None
        pace = self._per_second(1)
        return self.left / pace if pace else None

    def heard_at(self, at: float) -> None:
        """Something was told: look how far it is, now and then."""
        self.heard = at
        if self._samples and at - self._samples[-1][0] < _BETWEEN_SAMPLES:
            return
        self._samples.append((at, self.position, self.size))
        while at - self._samples[0][0] > _WINDOW and len(self._samples) > 2:
            self._samples.popleft()

    def _per_second(self, of: int) -> float | None:
        if len(self._samples) < 2:
            return None
        first, last = self._samples[0], self._samples[-1]
        return (last[of] - first[of]) / (last[0] - first[0])


class Tally:
    """The sum of a sync's events. `log_sizes` are the bytes of each log, by run directory, as far as known before.

    `whole` is the course of all runs together, `over` how many are done with, well or not. However many there are, an
    event costs the same.
    """

    def __init__(self, log_sizes: Mapping[Path, int]) -> None:
        self.courses = {path: Course(size) for path, size in log_sizes.items()}
        self.whole = Course(sum(log_sizes.values()))
        self.over = 0

    def take(self, event: Event) -> Course:
        """Count an event; returns how its run stands after it."""
        course = self.courses.setdefault(event.path, Course())
        before = course.log_size, course.position, course.lines, course.size, course.over
        _count(event, course)
        self.whole.log_size += course.log_size - before[0]
        self.whole.position += course.position - before[1]
        self.whole.lines += course.lines - before[2]
        self.whole.size += course.size - before[3]
        self.over += course.over - before[4]
        course.heard_at(event.at)
        self.whole.heard_at(event.at)
        return course


def _count(event: Event, course: Course) -> None:
    course.log_size = max(course.log_size, event.log_size)
    course.waiting = None
    match event.kind:
        case EventKind.STARTED:
            course.position = 0
        case EventKind.LINES:
            course.lines += event.lines
            course.size += event.size
            course.position = event.position
        case EventKind.FILE:
            course.size += event.size
        case EventKind.WAITING if event.error is not None and event.since is not None:
            course.waiting = (event.error, event.since)
        case EventKind.VERIFYING:
            course.position = course.log_size
        case EventKind.FINISHED:
            course.position, course.over = course.log_size, True
