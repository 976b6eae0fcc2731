"""Which columns the list of runs offers, and which it shows when nobody chose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from backhaul.depot.model import Run
from backhaul.depot.pages import conditions, shown

ALWAYS = ("display_name", "state", "created_at", "summary_metrics._runtime", "summary_metrics._step")
"""The columns that are always there."""

_OWN = [name for name in conditions.FIELDS if name not in ALWAYS]
_MOST_OFFERED = 150  # of the summary and of the config each
_MOST_KEYS = 20_000  # looked at in all
_AT_FIRST = 3  # of each kind


@dataclass(slots=True)
class _Seen:
    runs: int = 0
    values: set[str] = field(default_factory=set)


class Choices:
    """What the keys of some runs are, and in how many of them they occur."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._seen: dict[str, dict[str, _Seen]] = {"summary_metrics": {}, "config": {}}
        left = _MOST_KEYS
        for run in runs:
            found = {"summary_metrics": shown.summary(run), "config": shown.config(run)}
            for kind, values in found.items():
                self._note(kind, values)
                left -= len(values)
            if left < 0:
                break

    def _note(self, kind: str, values: dict[str, object]) -> None:
        for key, value in values.items():
            if not key.startswith("_") and not isinstance(value, (dict, list)):
                seen = self._seen[kind].setdefault(f"{kind}.{key}", _Seen())
                seen.runs += 1
                if len(seen.values) < 2:
                    seen.values.add(shown.text(value))

    @property
    def offered(self) -> list[str]:
        """The fields of a run itself, then the keys that most of the runs have, by name."""
        return [*_OWN, *(name for kind in self._seen.values() for name in self._frequent(kind))]

    @property
    def at_first(self) -> list[str]:
        """A few keys of each kind, before others those in which the runs differ."""
        return [name for kind in self._seen.values() for name in sorted(self._telling(kind))]

    def _frequent(self, kind: dict[str, _Seen]) -> list[str]:
        return sorted(sorted(kind, key=lambda name: (-kind[name].runs, name))[:_MOST_OFFERED])

    def _telling(self, kind: dict[str, _Seen]) -> list[str]:
        return sorted(self._frequent(kind), key=lambda name: (len(kind[name].values) < 2, name))[:_AT_FIRST]
