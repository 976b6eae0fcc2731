"""What charts draw: one metric over the steps, thinned to the width of the chart.

A bucket of neighbouring rows becomes its lowest and its highest value, so that no spike is lost.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any

from backhaul.depot import columns
from backhaul.depot.history import HistoryReader
from backhaul.depot.model import EVENTS, HISTORY, BatchRef, Run
from backhaul.depot.refusal import Refused
from backhaul.depot.store import Store

_MOST_KEYS = 64
_POINTS, _MOST_POINTS = 600, 5000


class SeriesReader:
    """Reads charts out of a store. Safe to use from any thread."""

    def __init__(self, store: Store, history: HistoryReader) -> None:
        self._store = store
        self._history = history

    def read(self, run: Run, keys: list[str], options: Mapping[str, str]) -> dict[str, Any]:
        """The series of `keys`: `{"series": {key: {"x": [step, …], "y": [value, …]}}, "rows": n}`.

        Options: `points` (at most that many), `stream` (`history`, `system`). System metrics have seconds as x.
        """
        if len(keys) > _MOST_KEYS:
            raise Refused(f"at most {_MOST_KEYS} keys at once")
        stream = EVENTS if options.get("stream") == "system" else HISTORY
        text = options.get("points", "")
        points = min(int(text), _MOST_POINTS) if text.isdecimal() and int(text) else _POINTS
        refs = self._store.batches(run.id, stream)
        return {
            "series": {key: self._series(refs, key, points, stream) for key in keys},
            "rows": sum(ref.count for ref in refs),
        }

    def _series(self, refs: list[BatchRef], key: str, points: int, stream: str) -> dict[str, list[float]]:
        x, y = array("d"), array("d")
        axis = "_runtime" if stream == EVENTS else "_step"
        for ref in refs:
            found = self._history.columns(ref)
            if key in found:
                x.extend(_axis(found, axis, found[key], ref.first))
                y.extend(found[key].numbers)
        shown_x, shown_y = thin(x, y, points)
        return {"x": shown_x, "y": shown_y}


def _axis(batch: columns.Batch, axis: str, column: columns.Column, first: int) -> array[float]:
    """Where each number of the column stands; by its line number in a row that does not say."""
    known = batch.get(axis)
    if known is None:
        return array("d", [first + place for place in column.places])
    if known.places == column.places:
        return known.numbers
    steps = dict(zip(known.places, known.numbers, strict=True))
    return array("d", [steps.get(place, first + place) for place in column.places])


def thin(x: array[float], y: array[float], points: int) -> tuple[list[float], list[float]]:
    """At most `points` of the points: of each bucket its lowest and its highest, in the order of their places."""
    total = len(x)
    if total <= points:
        return x.tolist(), y.tolist()
    buckets = max(1, points // 2)
    chosen: list[int] = []
    for bucket in range(buckets):
        places = range(bucket * total // buckets, (bucket + 1) * total // buckets)
        chosen += sorted({min(places, key=y.__getitem__), max(places, key=y.__getitem__)})
    return [x[place] for place in chosen], [y[place] for place in chosen]
