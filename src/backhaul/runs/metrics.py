"""Metric definitions (`define_metric`): MetricRecords → the list under `_wandb.m` of the config.

Later records for a name add to the earlier ones, unless they say `overwrite`. In the list a message is an object by
field number (as a string), a set of booleans the list of the numbers that are set. Source: SDK 0.31, runmetric.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from backhaul.wandblog.state import State

_OPTIONS = {"step_sync": 1, "hidden": 2, "defined": 3}
# `best` and `copy` are never sent by the official client.
_NEVER_SENT = ("best", "copy")
_SUMMARY = {"min": 1, "max": 2, "mean": 3, "last": 5, "none": 6, "first": 8}
_MAXIMIZE = 2


@dataclass(slots=True)
class _Definition:
    step: str = ""
    options: set[str] = field(default_factory=set)
    summary: set[str] = field(default_factory=set)
    goal: int = 0


class MetricDefinitions:
    """The metrics that a run has defined, by name and by glob, in order of their definition."""

    def __init__(self) -> None:
        self._metrics: dict[tuple[str, bool], _Definition] = {}

    def state(self) -> State:
        """What was defined so far."""
        told = [
            [name, is_glob, each.step, sorted(each.options), sorted(each.summary), each.goal]
            for (name, is_glob), each in self._metrics.items()
        ]
        return {"metrics": told}

    def restore(self, state: State) -> None:
        """Go on from a `state()`."""
        self._metrics = {
            (name, is_glob): _Definition(step, set(options), set(summary), goal)
            for name, is_glob, step, options, summary, goal in state["metrics"]
        }

    def apply(self, record: Any) -> None:
        """Take one MetricRecord. One that the SDK made by expanding a glob is not sent and is passed over."""
        if record.expanded_from_glob:
            return
        key = (record.name or record.glob_name, not record.name)
        if record.control.overwrite:
            self._metrics.pop(key, None)
        _merge(self._metrics.setdefault(key, _Definition()), record)

    def wanted_summaries(self, path: Sequence[str]) -> dict[str, str] | None:
        """What the summary has of the metric at this path: under each key there, which of its numbers.

        These are `min`, `max`, `mean`, `first` and `last`, and under `best` one of the first two. Empty for a metric
        that is left out (`none`); None where nothing is asked, so that its last value stands.
        """
        definition = self._definition(".".join(label.replace(".", "\\.") for label in path))
        if definition is None or not definition.summary or "copy" in definition.summary:
            return None
        if "none" in definition.summary:
            return {}
        best = "max" if definition.goal == _MAXIMIZE else "min"
        return {kind: best if kind == "best" else kind for kind in sorted(definition.summary)}

    def _definition(self, name: str) -> _Definition | None:
        """That of the name, else of the first glob that it matches; W&B's own metrics match none."""
        if (name, False) in self._metrics or name.startswith("_"):
            return self._metrics.get((name, False))
        globs = (key for key, is_glob in self._metrics if is_glob and key.endswith("*"))
        match = next((glob for glob in globs if name.startswith(glob.removesuffix("*"))), None)
        return None if match is None else self._metrics[match, True]

    def config_value(self) -> list[dict[str, Any]]:
        """The list for `_wandb.m`. A step metric is named by its 1-based position and gets an entry of its own."""
        order = dict(self._metrics)
        for definition in self._metrics.values():
            if definition.step:
                order.setdefault((definition.step, False), _Definition())
        position = {key: index for index, key in enumerate(order, start=1)}
        return [_encode(name, is_glob, definition, position) for (name, is_glob), definition in order.items()]


def _merge(definition: _Definition, record: Any) -> None:
    definition.step = record.step_metric or definition.step
    definition.options |= {name for name in ("step_sync", "hidden") if getattr(record.options, name)}
    if record.name:
        definition.options.add("defined")
    if record.HasField("summary"):
        kinds = {name for name in (*_SUMMARY, *_NEVER_SENT) if getattr(record.summary, name)}
        definition.summary = (definition.summary - {"none"}) | kinds
    definition.goal = record.goal or definition.goal


def _encode(name: str, is_glob: bool, definition: _Definition, position: dict[tuple[str, bool], int]) -> dict[str, Any]:
    entry: dict[str, Any] = {"2" if is_glob else "1": name}
    if definition.step:
        entry["5"] = position[definition.step, False]
    entry["6"] = sorted(_OPTIONS[option] for option in definition.options)
    entry["7"] = sorted(_SUMMARY[kind] for kind in definition.summary.difference(_NEVER_SENT))
    if definition.goal:
        entry["8"] = definition.goal
    return entry
