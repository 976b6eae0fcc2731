"""A metric as a chart draws it: over any axis, in any range, thinned to the width of the chart.

A bucket of neighbouring rows becomes its lowest and its highest value, so that no spike is lost.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass

from backhaul.depot import columns
from backhaul.depot.history import HistoryReader
from backhaul.depot.model import HISTORY, Run
from backhaul.depot.store import Store

STEP = "_step"


@dataclass(frozen=True, slots=True)
class View:
    """What of a metric is wanted. `axis` is the key that gives x: `_step`, `_runtime`, `_timestamp` or any other.

    From `start` to `stop` on that axis, both included, and the points next to them, so that a line reaches the edges.
    """

    stream: str = HISTORY
    axis: str = STEP
    start: float = -math.inf
    stop: float = math.inf
    points: int = 600


@dataclass(frozen=True, slots=True)
class Series:
    """Points in the order in which they were logged."""

    x: array[float]
    y: array[float]


class SeriesReader:
    """Reads charts out of a store. Safe to use from any thread."""

    def __init__(self, store: Store, history: HistoryReader) -> None:
        self._store = store
        self._history = history

    def series(self, run: Run, key: str, view: View) -> Series:
        """About `view.points` points of a metric, all of them when they are fewer; rows without a finite number in
        `key` or in the axis are left out (a row without `_step` has its line number).
        """
        x, y = array("d"), array("d")
        for ref in self._store.batches(run.id, view.stream):
            found = self._history.columns(ref)
            if key in found:
                found_x, found_y = _points(found, key, view.axis, ref.first)
                x.extend(found_x)
                y.extend(found_y)
        return _thin(_within(Series(x, y), view), view.points)


def _points(batch: columns.Batch, key: str, axis: str, first: int) -> tuple[array[float], array[float]]:
    column, known = batch[key], batch.get(axis)
    if known is not None and known.places == column.places:
        return known.numbers, column.numbers
    at = dict(zip(known.places, known.numbers, strict=True)) if known else {}
    if axis == STEP:
        return array("d", [at.get(place, first + place) for place in column.places]), column.numbers
    pairs = [(at[place], number) for place, number in zip(column.places, column.numbers, strict=True) if place in at]
    return array("d", [x for x, _ in pairs]), array("d", [y for _, y in pairs])


def _within(series: Series, view: View) -> Series:
    """The points in the view's range, and one before and behind it."""
    if view.start == -math.inf and view.stop == math.inf:
        return series
    inside = [place for place, x in enumerate(series.x) if view.start <= x <= view.stop]
    if not inside:
        return Series(array("d"), array("d"))
    first, stop = max(0, inside[0] - 1), inside[-1] + 2
    return Series(series.x[first:stop], series.y[first:stop])


def _thin(series: Series, points: int) -> Series:
    """At most `points` of the points: of each bucket its lowest and its highest, in the order of their places."""
    x, y = series.x, series.y
    total = len(x)
    if total <= points:
        return series
    buckets = max(1, points // 2)
    chosen: list[int] = []
    for bucket in range(buckets):
        start, stop = bucket * total // buckets, (bucket + 1) * total // buckets
        part = y[start:stop]
        chosen += sorted({start + part.index(min(part)), start + part.index(max(part))})
    return Series(array("d", [x[place] for place in chosen]), array("d", [y[place] for place in chosen]))
