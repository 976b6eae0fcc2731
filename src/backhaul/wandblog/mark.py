"""Marks: places in a log at which following its chunks can be taken up again, as if it had never been left."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from backhaul.wandblog.damage import Damage
from backhaul.wandblog.state import damages_of, plain_damages


@dataclass(frozen=True, slots=True)
class Mark:
    """A place between two windows, with no record and no damage begun.

    The next chunk starts at `offset`; the file was looked at up to `seen`. `base` is the block grid's, `damage` what
    lies before, `effort` how much was spent on bad chunks of the block at hand (see `Detour.effort`).
    """

    offset: int
    seen: int
    base: int
    damage: tuple[Damage, ...]
    effort: tuple[int, ...]

    def plain(self) -> list[Any]:
        """The mark in values that JSON has."""
        return [self.offset, self.seen, self.base, plain_damages(self.damage), list(self.effort)]

    @classmethod
    def of_plain(cls, plain: list[Any]) -> Mark:
        """The mark that gave `plain`. Raises what `NOT_A_STATE` lists."""
        offset, seen, base, damage, effort = plain
        return cls(int(offset), int(seen), int(base), tuple(damages_of(damage)), tuple(map(int, effort)))


class Trail:
    """The way back: from which mark to read so that the last `batches` batches of records are read again.

    `mark` is where reading began, None for the file's start.
    """

    def __init__(self, batches: int, mark: Mark | None = None) -> None:
        self._batches = batches
        self._passed = 0
        self._marks: deque[tuple[int, Mark | None]] = deque([(0, mark)])

    def go_on(self, mark: Mark | None) -> None:
        """One more batch was read, and behind it is `mark`, or no place to take reading up."""
        self._passed += 1
        if mark is not None:
            self._marks.append((self._passed, mark))
        while len(self._marks) > 1 and self._marks[1][0] <= self._passed - self._batches:
            self._marks.popleft()

    def start(self) -> tuple[Mark | None, int]:
        """The mark, None for the file's start, and how many batches lie between it and here."""
        passed, mark = self._marks[0]
        return mark, self._passed - passed
