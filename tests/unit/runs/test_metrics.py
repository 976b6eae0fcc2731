"""Metric definitions become the list that the server reads its charts' axes from."""

from __future__ import annotations

from typing import Any

from backhaul.runs.metrics import MetricDefinitions
from backhaul.wandblog.schema import Record


def _defined(*definitions: dict[str, Any]) -> MetricDefinitions:
    metrics = MetricDefinitions()
    for definition in definitions:
        record = Record().metric
        for name in definition.get("summary", ()):
            setattr(record.summary, name, True)
        for name in definition.get("options", ()):
            setattr(record.options, name, True)
        for name in ("name", "glob_name", "step_metric", "goal", "expanded_from_glob"):
            if name in definition:
                setattr(record, name, definition[name])
        record.control.overwrite = definition.get("overwrite", False)
        metrics.apply(record)
    return metrics


def test_a_metric_is_an_object_by_field_number() -> None:
    """Name 1, options 6, summaries 7, goal 8; sets of booleans are the numbers that are set."""
    metrics = _defined({"name": "loss", "summary": ["min", "first"], "options": ["hidden", "step_sync"], "goal": 1})
    assert metrics.config_value() == [{"1": "loss", "6": [1, 2, 3], "7": [1, 8], "8": 1}]


def test_a_step_metric_is_named_by_its_place() -> None:
    """Counted from 1; one that was never defined gets an entry at the end."""
    metrics = _defined({"name": "epoch"}, {"name": "a", "step_metric": "epoch"}, {"name": "b", "step_metric": "hours"})
    assert metrics.config_value() == [
        {"1": "epoch", "6": [3], "7": []},
        {"1": "a", "5": 1, "6": [3], "7": []},
        {"1": "b", "5": 4, "6": [3], "7": []},
        {"1": "hours", "6": [], "7": []},
    ]


def test_later_definitions_add_unless_they_overwrite() -> None:
    """`overwrite` starts anew, at the end of the list."""
    metrics = _defined({"name": "x", "summary": ["none"]}, {"name": "y"}, {"name": "x", "summary": ["max"], "goal": 2})
    assert metrics.config_value()[0] == {"1": "x", "6": [3], "7": [2], "8": 2}
    metrics = _defined({"name": "x", "summary": ["max"]}, {"name": "x", "summary": ["min"], "overwrite": True})
    assert metrics.config_value() == [{"1": "x", "6": [3], "7": [1]}]


def test_a_glob_is_told_under_its_own_number() -> None:
    """And what the SDK made by expanding one is not sent."""
    metrics = _defined(
        {"glob_name": "train/*", "step_metric": "epoch"},
        {"name": "train/a", "expanded_from_glob": True, "summary": ["max"]},
    )
    assert [entry.get("2") or entry["1"] for entry in metrics.config_value()] == ["train/*", "epoch"]


def test_the_summaries_asked_for_are_known_by_path() -> None:
    """By name before glob, dots of a key escaped; nothing is asked of an undefined metric, nor of one to be copied."""
    metrics = _defined(
        {"name": "x", "summary": ["max", "mean"]},
        {"name": "n.q", "summary": ["last"]},
        {"name": "up", "summary": ["best"], "goal": 2},
        {"name": "copied", "summary": ["copy"]},
        {"glob_name": "g/*", "summary": ["best"]},
        {"name": "g/none", "summary": ["none"]},
        {"glob_name": "*", "step_metric": "x"},
    )
    assert metrics.wanted_summaries(["x"]) == {"max": "max", "mean": "mean"}
    assert metrics.wanted_summaries(["n", "q"]) == {"last": "last"}
    assert metrics.wanted_summaries(["n.q"]) is None
    assert metrics.wanted_summaries(["up"]) == {"best": "max"}
    assert metrics.wanted_summaries(["g/a"]) == {"best": "min"}
    assert metrics.wanted_summaries(["g/none"]) == {}
    assert [metrics.wanted_summaries([name]) for name in ("y", "copied", "_runtime")] == [None, None, None]
    assert [entry["7"] for entry in metrics.config_value()] == [[2, 3], [5], [], [], [], [6], []]
