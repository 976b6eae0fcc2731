"""What charts draw: one metric over the steps, thinned to the width of the chart.

A bucket of neighbouring rows becomes its lowest and its highest value, so that no spike is lost.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from typing import Any, TypeAlias

from backhaul.depot import rows
from backhaul.depot.memory import Memory
from backhaul.depot.model import EVENTS, HISTORY, BatchRef, Run
from backhaul.depot.refusal import Refused
from backhaul.depot.store import Store

_REMEMBERED = 512  # batches: their numbers take some 16 bytes a value
_MOST_KEYS = 64
_POINTS, _MOST_POINTS = 600, 5000

_Columns: TypeAlias = "dict[str, tuple[array[float], array[float]]]"
"""Steps and values by key."""


class SeriesReader:
    """Reads charts out of a store. Safe to use from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._columns: Memory[int, _Columns] = Memory(_REMEMBERED)

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
        for ref in refs:
            steps, values = self._batch(ref, stream).get(key, ((), ()))
            x.extend(steps)
            y.extend(values)
        shown_x, shown_y = thin(x, y, points)
        return {"x": shown_x, "y": shown_y}

    def _batch(self, ref: BatchRef, stream: str) -> _Columns:
        axis = "_runtime" if stream == EVENTS else "_step"
        return self._columns.get(ref.id, lambda: _read(self._store.batch_lines(ref.id) or [], ref.first, axis))


def _read(lines: list[str], first: int, axis: str) -> _Columns:
    columns: _Columns = {}
    for number, line in enumerate(lines, first):
        row = rows.parse(line)
        x = row.get(axis)
        step = float(x) if isinstance(x, (int, float)) else float(number)
        for key, value in rows.flat(row).items():
            if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
                steps, values = columns.setdefault(key, (array("d"), array("d")))
                steps.append(step)
                values.append(value)
    return columns


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
