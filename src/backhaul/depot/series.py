"""A metric as a chart draws it: over any axis, in any range, thinned to the width of the chart.

A bucket of neighbouring rows becomes its lowest and its highest value, so that no spike is lost.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from backhaul.depot.columns import Points
from backhaul.depot.history import HistoryReader
from backhaul.depot.model import HISTORY, Run, Stretch
from backhaul.depot.store import Store
from backhaul.depot.stretches import AXES, BUCKET, STEP, Part, extremes, unpack


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
        parts = self._shown(run, key, view)
        rows = sum(part.rows for part in parts)
        coarse = view.axis in AXES and 2 * rows >= BUCKET * view.points
        source = self._coarse(run, key, view, parts) if coarse else self._fine(key, view.axis, parts)
        x, y = array("d"), array("d")
        for found in source:
            x.extend(found.x)
            y.extend(found.y)
        return _thin(_within(Series(x, y), view), view.points)

    def _shown(self, run: Run, key: str, view: View) -> list[Part]:
        """The parts of the stream that may have points in the view, and their neighbours."""
        parts = self._history.parts(run, view.stream)
        if view.start == -math.inf and view.stop == math.inf:
            return parts
        inside = [part.stretch is None or self._reaches(part.stretch, view) for part in parts]
        near = [any(inside[max(0, place - 1) : place + 2]) for place in range(len(parts))]
        return [part for part, wanted in zip(parts, near, strict=True) if wanted]

    def _reaches(self, stretch: Stretch, view: View) -> bool:
        if view.axis == STEP:
            return stretch.lowest_step <= view.stop and stretch.highest_step >= view.start
        facts = self._history.facts(stretch).get(view.axis)
        return facts is not None and facts.lowest <= view.stop and facts.highest >= view.start

    def _fine(self, key: str, axis: str, parts: list[Part]) -> Iterator[Series]:
        """All points, out of the lines."""
        for part in parts:
            for first, points, known in self._read(part, key, axis):
                yield _series(points, known, axis, first)

    def _coarse(self, run: Run, key: str, view: View, parts: list[Part]) -> Iterator[Series]:
        """The extremes: of stretches those that are kept, of other lines those that their batches have."""
        kept = self._store.stretch_column(run.id, view.stream, key)
        axes = self._store.stretch_column(run.id, view.stream, view.axis)
        for part in parts:
            if part.stretch is None:
                for first, points, known in self._read(part, key, view.axis):
                    yield _series(extremes(points), known, view.axis, first)
            elif part.stretch.id in kept:
                points, axis = unpack(kept[part.stretch.id]), axes.get(part.stretch.id)
                points = extremes(points) if key in AXES else points
                yield _series(points, unpack(axis) if axis else None, view.axis, part.stretch.first)

    def _read(self, part: Part, key: str, axis: str) -> Iterator[tuple[int, Points, Points | None]]:
        """Of each batch that has the key its first line number, the key's points and those of the axis."""
        for ref in part.refs:
            batch = self._history.columns(ref)
            if key in batch:
                yield ref.first, batch[key].points, batch[axis].points if axis in batch else None


def _series(points: Points, known: Points | None, axis: str, first: int) -> Series:
    """The numbers over those of the axis in the same rows, which are counted from line `first`."""
    places, numbers = points
    axis_places, x = known or (array("i"), array("d"))
    if axis_places == places:
        return Series(x, numbers)
    if axis_places and axis_places[-1] == len(axis_places) - 1 and places[-1:] <= axis_places[-1:]:  # no row lacks it
        return Series(array("d", [x[place] for place in places]), numbers)
    at = dict(zip(axis_places, x, strict=True))
    if axis == STEP:
        return Series(array("d", [at.get(place, first + place) for place in places]), numbers)
    pairs = [(at[place], number) for place, number in zip(places, numbers, strict=True) if place in at]
    return Series(array("d", [x for x, _ in pairs]), array("d", [y for _, y in pairs]))


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
