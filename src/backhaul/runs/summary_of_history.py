"""The summary of a killed run whose engine writes it last: what the history comes to.

The Python engine (SDK to 0.17) kept the last value of each key, or of a metric that `define_metric` names what that
asks for. Source: the summaries at the end of logs of SDK 0.15 to 0.17.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import astuple, dataclass
from typing import Any

from backhaul.runs.metrics import MetricDefinitions
from backhaul.runs.summary import Summary
from backhaul.runs.table import Path, flat
from backhaul.wandblog.state import State


class SummaryOfHistory:
    """The summary that the SDK would have written at the end, computed from the lines of the history.

    Of nested values that no `define_metric` names the Python engine kept nothing; here the last ones stay.
    """

    def __init__(self) -> None:
        self._last: dict[str, Any] = {}
        self._numbers: dict[Path, _Aggregate] = {}

    def state(self) -> State:
        """What was taken so far."""
        numbers = [[list(path), *astuple(each)] for path, each in self._numbers.items()]
        return {"last": dict(self._last), "numbers": numbers}

    def restore(self, state: State) -> None:
        """Go on from a `state()`."""
        self._last = dict(state["last"])
        self._numbers = {tuple(path): _Aggregate(*each) for path, *each in state["numbers"]}

    def add(self, line: str) -> None:
        """Take one history line."""
        row = json.loads(line)
        self._last.update(row)
        for path, value in flat(row):
            if _counts(value):
                self._numbers.setdefault(path, _Aggregate()).add(value)

    def fill(self, summary: Summary, metrics: MetricDefinitions) -> None:
        """Put into `summary` what the history says."""
        for key, last in self._last.items():
            if metrics.wanted_summaries((key,)) != {}:
                summary.set((key,), json.dumps(last).encode())
        for path, numbers in self._numbers.items():
            wanted = metrics.wanted_summaries(path)
            if wanted is not None:
                told = {key: getattr(numbers, kind) for key, kind in wanted.items()}
                summary.set(path, json.dumps(told or None).encode())


def _counts(value: Any) -> bool:
    """Whether it is a number that can be added up; truth values are, as the SDK has it, NaN and huge ones are not."""
    return isinstance(value, int | float) and (math.inf in (value, -value) or abs(value) <= sys.float_info.max)


@dataclass(slots=True)
class _Aggregate:
    count: int = 0
    total: float = 0
    first: float = 0
    last: float = 0
    min: float = 0
    max: float = 0

    def add(self, value: float) -> None:
        if not self.count:
            self.first = self.min = self.max = value
        self.count += 1
        self.total += float(value)
        self.last = value
        self.min = min(self.min, value)
        self.max = max(self.max, value)

    @property
    def mean(self) -> float:
        return self.total / self.count
