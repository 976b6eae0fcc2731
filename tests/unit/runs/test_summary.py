"""The summary: from records where there are some, from the rows where a kill left none."""

from __future__ import annotations

import json
from typing import Any

from backhaul.runs.metrics import MetricDefinitions
from backhaul.runs.summary import Summary
from backhaul.runs.summary_of_history import SummaryOfHistory
from backhaul.wandblog.schema import Record, SummaryRecord


def _record(*updates: tuple[list[str], str], remove: tuple[list[str], ...] = ()) -> bytes:
    record = SummaryRecord()
    for path, value in updates:
        record.update.add(nested_key=path, value_json=value.encode())
    for path in remove:
        record.remove.add(nested_key=path)
    return bytes(record.SerializeToString())


def _of(*records: bytes, step: int | None = None) -> dict[str, Any] | None:
    summary = Summary()
    for record in records:
        summary.apply(record)
    text = summary.to_json(step)
    return None if text is None else dict(json.loads(text))


def test_the_last_value_of_a_key_stands() -> None:
    """Records are applied in order."""
    assert _of(_record((["a"], "1"), (["b"], "2")), _record((["a"], "3"))) == {"a": 3, "b": 2}


def test_a_nested_path_is_set_inside_its_object() -> None:
    """Also when the object came whole, earlier, and when a plain value stood there."""
    assert _of(_record((["a"], '{"x":1,"y":2}')), _record((["a", "y"], "3"))) == {"a": {"x": 1, "y": 3}}
    assert _of(_record((["a"], "1")), _record((["a", "max"], "3"))) == {"a": {"max": 3}}
    assert _of(_record((["a", "max"], "3")), _record((["a"], "1"))) == {"a": 1}


def test_removed_keys_are_gone() -> None:
    """A removal acts on what came before, in its own record too, and a missing key is no error."""
    assert _of(_record((["a"], "1"), (["b", "c"], "2"), (["b", "d"], "3")), _record(remove=(["a"], ["b", "c"]))) == {
        "b": {"d": 3}
    }
    assert _of(_record((["a"], "1"), (["b"], "1"), remove=(["a"], ["zzz", "y"]))) == {"b": 1}


def test_a_member_of_an_object_that_came_whole_is_removed() -> None:
    """`del run.summary["a"]["x"]` after `run.summary["a"] = {…}`; what is no object has no members."""
    whole = _record((["a"], '{"x":1.50,"y":{"z":2}}'), (["b"], "1"))
    assert _of(whole, _record(remove=(["a", "x"], ["b", "x"]))) == {"a": {"y": {"z": 2}}, "b": 1}
    assert _of(whole, _record(remove=(["a", "y", "z"],))) == {"a": {"x": 1.5, "y": {}}, "b": 1}


def test_values_that_are_nested_deep_are_kept_and_those_beyond_all_reason_left_out() -> None:
    """However the depth is written: as a path, as JSON, or both."""
    deep, deeper = ["k"] * 400, ["k"] * 100_000
    found = _of(_record((["a", *deep], "1"), (["b"], "[" * 400 + "]" * 400)))
    assert [json.dumps(found).count(bracket) for bracket in "{["] == [401, 400]
    together = (["c"] * 300, "[" * 300 + "]" * 300)
    too_deep = _record((["a", *deeper], "1"), (["b"], "[" * 100_000 + "]" * 100_000), together)
    assert set(_of(too_deep, _record((["d"], "1"))) or {}) == {"c", "d"}


def _told(*records: bytes) -> list[str]:
    summary = Summary()
    for record in records:
        summary.apply(record)
    restored = Summary()
    restored.restore(json.loads(json.dumps(summary.state())))
    assert restored.set_aside() == summary.set_aside()
    return [f"{item.what}: {item.reason}" for item in summary.set_aside()]


def test_what_no_server_takes_is_told_by_name() -> None:
    """No JSON, nested too deep, or in a record that does not decode; a null is nothing."""
    bad = _record((["a", "x"], "oops"), (["b"], "[" * 600 + "]" * 600), (["c"], "null"), (["d"], "1"))
    why = "it is not JSON, or nested too deep; all others are sent"
    assert _told(bad) == [f"summary value a.x: {why}", f"summary value b: {why}"]
    (deep,) = _told(_record((["a", *["k"] * 100_000], "1")))
    assert deep.startswith("summary value a.k.k.k")
    assert len(deep) < 300
    assert _told(b"\xff\xff", b"\xff\xff\xff") == ["summary record: its bytes do not decode"]


def test_what_is_set_again_or_removed_is_not_told() -> None:
    """What counts is how the values stand in the end."""
    bad = _record((["a"], "oops"), (["b", "c"], "oops"), (["d"], "oops"))
    assert _told(bad, _record((["a"], "1"), (["b"], "2"), remove=(["d"],))) == []


def test_nulls_and_what_is_no_json_are_left_out() -> None:
    """As the official client does."""
    assert _of(_record((["a"], "null"), (["b"], "oops"), (["c", "d"], "null"), (["e"], "0"))) == {"c": {}, "e": 0}


def test_the_step_is_that_of_the_last_row() -> None:
    """Whatever a summary record says."""
    assert _of(_record((["_step"], "99"), (["a"], "1")), step=7) == {"a": 1, "_step": 7}
    assert _of(_record((["_step"], "99"), (["a"], "1"))) == {"a": 1}


def test_without_anything_there_is_no_summary() -> None:
    """A run that logged nothing."""
    assert _of() is None
    assert _of(step=0) == {"_step": 0}


def test_values_are_passed_through_as_they_are_written() -> None:
    """No number is encoded again."""
    summary = Summary()
    summary.apply(_record((["a"], "1.10"), (["b"], "1e5"), (["n", "c"], "NaN")))
    text = summary.to_json(None) or ""
    assert sorted(text[1:-1].split(",")) == ['"a":1.10', '"b":1e5', '"n":{"c":NaN}']


def test_a_path_below_a_value_that_is_no_json_replaces_it() -> None:
    """What cannot be taken apart counts as nothing."""
    assert _of(_record((["a"], "01")), _record((["a", "max"], "3"))) == {"a": {"max": 3}}


def test_a_record_that_does_not_decode_changes_nothing() -> None:
    """Nor does it take those before and after it along."""
    assert _of(_record((["a"], "1")), b"\xff\xff", _record((["b"], "2"))) == {"a": 1, "b": 2}


def test_many_records_are_taken_in_order_also_when_they_are_repeated() -> None:
    """They are put by and taken apart many at a time; the result is as if one by one."""
    summary = Summary()
    for index in range(20_000):
        summary.apply(_record((["clock"], str(index // 100)), (["_wandb", "runtime"], str(index // 100))))
        summary.apply(_record((["value"], str(index)), (["text"], f'"{index}"' * (index % 7 != 0) or "null")))
    summary.apply(_record((["clock"], "5")))
    assert json.loads(summary.to_json(None) or "") == {
        "clock": 5,
        "_wandb": {"runtime": 199},
        "value": 19_999,
    }


def _metrics(*definitions: tuple[str, str]) -> MetricDefinitions:
    metrics = MetricDefinitions()
    for name, kind in definitions:
        record = Record()
        record.metric.name = name
        setattr(record.metric.summary, kind, True)
        metrics.apply(record.metric)
    return metrics


def test_a_killed_run_has_the_summary_of_its_rows() -> None:
    """The last value of each key, or what the script asked for by `define_metric`."""
    rows = SummaryOfHistory()
    for line in (
        '{"a":1,"low":5,"top":3,"mid":1,"hid":1}',
        '{"a":2,"low":4,"top":1,"mid":3}',
        '{"t":"x","low":6,"top":9}',
    ):
        rows.add(line)
    summary = Summary()
    rows.fill(summary, _metrics(("low", "min"), ("top", "max"), ("mid", "mean"), ("hid", "none"), ("top", "first")))
    assert json.loads(summary.to_json(2) or "") == {
        "a": 2,
        "t": "x",
        "low": {"min": 4},
        "top": {"max": 9, "first": 3},
        "mid": {"mean": 2},
        "_step": 2,
    }
    assert not summary.from_records


def test_a_killed_run_has_what_the_script_asked_for_nested_metrics_and_by_globs() -> None:
    """Numbers are those that were logged; NaN is none of them, and one that no float holds is only a last value."""
    metrics = _metrics(("n.q", "max"), ("n.hid", "none"), ("huge", "mean"))
    record = Record()
    record.metric.glob_name = "g/*"
    record.metric.summary.min = record.metric.summary.mean = True
    metrics.apply(record.metric)
    rows = SummaryOfHistory()
    huge = 10**400
    rows.add(f'{{"n":{{"q":3,"r":1,"hid":1}},"g/a":true,"huge":{huge}}}')
    rows.add('{"n":{"q":1,"s":{"t":2}},"g/a":2.5}')
    rows.add('{"n":{"r":NaN},"g/a":NaN,"g/b":Infinity}')
    restored = SummaryOfHistory()
    restored.restore(json.loads(json.dumps(rows.state())))
    summary = Summary()
    restored.fill(summary, metrics)
    assert json.loads(summary.to_json(None) or "", parse_constant=str) == {
        "n": {"r": "NaN", "q": {"max": 3}},
        "g/a": {"min": True, "mean": 1.75},
        "g/b": {"min": "Infinity", "mean": "Infinity"},
        "huge": huge,
    }
