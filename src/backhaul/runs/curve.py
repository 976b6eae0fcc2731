"""The shape of a metric in constant memory: enough points for a small picture, however long the run."""

from __future__ import annotations

import math

_MOST_POINTS = 128


class Curve:
    """Takes a metric's values in order; keeps count, extremes and at most 128 averages over equal numbers of values.

    `count` counts all values, `odd` those that are NaN or infinite, which are in no average and no extreme. `last` is
    the newest value of all. A whole number beyond all floating ones counts as infinite.
    """

    def __init__(self) -> None:
        self.count = 0
        self.odd = 0
        self.min = math.inf
        self.max = -math.inf
        self.last = math.nan
        self._sums: list[float] = []
        self._open_sum = 0.0
        self._open_count = 0
        self._per_point = 1

    def add(self, value: float) -> None:
        """Take the next value."""
        value = _floating(value)
        self.count += 1
        self.last = value
        if not math.isfinite(value):
            self.odd += 1
            return
        self.min = min(self.min, value)
        self.max = max(self.max, value)
        self._open_sum += value
        self._open_count += 1
        if self._open_count == self._per_point:
            self._close()

    def points(self) -> list[float]:
        """The averages, oldest first."""
        points = [total / self._per_point for total in self._sums]
        return [*points, self._open_sum / self._open_count] if self._open_count else points

    def _close(self) -> None:
        self._sums.append(self._open_sum)
        self._open_sum, self._open_count = 0.0, 0
        if len(self._sums) == _MOST_POINTS:
            self._sums = [left + right for left, right in zip(self._sums[::2], self._sums[1::2], strict=True)]
            self._per_point *= 2


def _floating(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
