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


@dataclass(slots=True)
class Course:
    """One run on its way: `position` of `log_size` bytes of its log have been sent; lines and bytes so far.

    `waiting` is why its last request is tried again, and since when (Unix seconds).
    """

    log_size: int = 0
    position: int = 0
    lines: int = 0
    size: int = 0
    waiting: tuple[BackhaulError, float] | None = None
    over: bool = False


@dataclass(slots=True)
class Tally:
    """The sum of a sync's events. `log_sizes` are the bytes of each log, by run directory, as far as known before."""

    log_sizes: Mapping[Path, int]
    courses: dict[Path, Course] = field(init=False)
    _samples: deque[tuple[float, int, int, int]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.courses = {path: Course(size) for path, size in self.log_sizes.items()}

    def take(self, event: Event) -> Course:
        """Count an event; returns how its run stands after it."""
        course = self.courses.setdefault(event.path, Course())
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
        self._sample(event.at)
        return course

    @property
    def over(self) -> int:
        """How many runs are done with, well or not."""
        return sum(course.over for course in self.courses.values())

    @property
    def lines(self) -> int:
        """Lines that were acknowledged."""
        return sum(course.lines for course in self.courses.values())

    @property
    def size(self) -> int:
        """Bytes of lines and files that were acknowledged."""
        return sum(course.size for course in self.courses.values())

    @property
    def read(self) -> int:
        """Bytes of the logs that are sent."""
        return sum(course.position for course in self.courses.values())

    @property
    def left(self) -> int:
        """Bytes of the logs that are still to be sent."""
        return sum(course.log_size for course in self.courses.values()) - self.read

    @property
    def rate(self) -> float | None:
        """Bytes of lines and files a second, of late; None before that can be said."""
        return self._per_second(2)

    @property
    def seconds_left(self) -> float | None:
        """How long the logs still take at the pace of late; files to come are not foreseen. None: cannot be said."""
        pace = self._per_second(3)
        return None if not pace else self.left / pace

    def _sample(self, at: float) -> None:
        if self._samples and at - self._samples[-1][0] < _BETWEEN_SAMPLES:
            return
        self._samples.append((at, self.lines, self.size, self.read))
        while at - self._samples[0][0] > _WINDOW and len(self._samples) > 2:
            self._samples.popleft()

    def _per_second(self, of: int) -> float | None:
        if len(self._samples) < 2:
            return None
        first, last = self._samples[0], self._samples[-1]
        return (last[of] - first[of]) / (last[0] - first[0])
