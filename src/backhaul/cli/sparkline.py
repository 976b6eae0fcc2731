"""A curve in one line of text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

_BARS = "▁▂▃▄▅▆▇█"


def sparkline(points: Sequence[float], width: int) -> str:
    """The points as at most `width` bars, lowest to highest; a point per bar where there are few, else averages."""
    if not points:
        return ""
    averages = _averages(points, width)
    low, high = min(averages), max(averages)
    # Half of each first: the difference of two doubles may be greater than any double.
    span = high / 2 - low / 2
    if span == 0:
        return _BARS[3] * len(averages)
    return "".join(_BARS[min(int((value / 2 - low / 2) / span * len(_BARS)), len(_BARS) - 1)] for value in averages)


def _averages(points: Sequence[float], width: int) -> list[float]:
    if len(points) <= width:
        return list(points)
    edges = [index * len(points) // width for index in range(width + 1)]
    return [sum(value / (stop - start) for value in points[start:stop]) for start, stop in pairwise(edges)]
