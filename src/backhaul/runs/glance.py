"""What is worth seeing of a run's rows without looking at each: the shape of its metrics and its last words."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from backhaul.runs.curve import Curve
from backhaul.runs.stream import Stream
from backhaul.runs.table import flat

# A run with more metrics than this is looked at metric by metric elsewhere.
_MOST_CURVES = 5000


@dataclass(slots=True)
class Glance:
    """`curves` has each numeric metric by its name, nested ones with dots (at most 5000 of them).

    `tail` are the last console lines as they are sent: time and text, after "ERROR " for those of stderr.
    """

    tail: deque[str]
    curves: dict[str, Curve] = field(default_factory=dict)

    def take(self, stream: Stream, lines: Sequence[str]) -> None:
        """Take the next lines of a stream."""
        if stream is Stream.HISTORY:
            for line in lines:
                self._take_row(line)
        elif stream is Stream.OUTPUT:
            self.tail.extend(lines)

    def _take_row(self, line: str) -> None:
        curves = self.curves
        for path, value in flat(json.loads(line)):
            if isinstance(value, bool) or not isinstance(value, int | float) or path[0].startswith("_"):
                continue
            name = ".".join(path)
            if name in curves:
                curves[name].add(value)
            elif len(curves) < _MOST_CURVES:
                curves[name] = Curve()
                curves[name].add(value)
