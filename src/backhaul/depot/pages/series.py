"""The numbers that a page's charts ask for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from backhaul.depot import numbers
from backhaul.depot.model import EVENTS, HISTORY, Run
from backhaul.depot.pages.visit import Visit
from backhaul.depot.refusal import Refused
from backhaul.depot.series import SeriesReader, View
from backhaul.depot.store import Store
from backhaul.depot.stretches import STEP

_MOST_KEYS = 64
_POINTS, _MOST_POINTS = 600, 5000


class ChartNumbers:
    """Answers `…/series`: always with JSON."""

    def __init__(self, store: Store, series: SeriesReader) -> None:
        self._store = store
        self._series = series

    def view(self, visit: Visit) -> dict[str, Any]:
        """The series that the visit's query asks for; see `read`."""
        query = visit.request.query_params
        return self.read(visit.run(), query.getlist("key"), query)

    def read(self, run: Run, keys: list[str], options: Mapping[str, str]) -> dict[str, Any]:
        """The series of `keys`: `{"series": {key: {"x": [number, …], "y": [number, …]}}, "rows": n}`.

        Options: `points` (about that many), `stream` (`history`, `system`), `axis` (the key that gives x; `_step`,
        for system metrics `_runtime`), `from` and `to` (a range of x).
        """
        if len(keys) > _MOST_KEYS:
            raise Refused(f"at most {_MOST_KEYS} keys at once")
        view = _view(options)
        found = {key: self._series.series(run, key, view) for key in keys}
        return {
            "series": {key: {"x": series.x.tolist(), "y": series.y.tolist()} for key, series in found.items()},
            "rows": sum(ref.count for ref in self._store.batches(run.id, view.stream)),
        }


def _view(options: Mapping[str, str]) -> View:
    system = options.get("stream") == "system"
    return View(
        stream=EVENTS if system else HISTORY,
        axis=options.get("axis") or ("_runtime" if system else STEP),
        start=_number(options, "from", -math.inf),
        stop=_number(options, "to", math.inf),
        points=min(numbers.whole(options.get("points", "")) or _POINTS, _MOST_POINTS),
    )


def _number(options: Mapping[str, str], name: str, default: float) -> float:
    text = options.get(name)
    try:
        found = float(text) if text else default
    except ValueError:
        found = math.nan
    if math.isnan(found):
        raise Refused(f"{name!r} must be a number")
    return found
