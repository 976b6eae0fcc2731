"""The fast way through a record's items gives what the general way gives, whatever the items are."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backhaul.runs import history, plain_items, summary
from backhaul.runs.history import HistoryRows
from backhaul.runs.summary import Summary
from backhaul.wandblog.schema import HistoryRecord, SummaryRecord

Item = tuple[list[str], str]

# Keys and values that look like a part of the wire, of JSON, or of each other.
_labels = st.one_of(
    st.sampled_from(
        ["a", "b", "loss", "_step", "_runtime", "dot.key", "", "é", 'quo"te', "back\\slash", "a,b", "{", "1"]
    ),
    st.sampled_from(["x" * 10, "x" * 18, "x" * 127, "x" * 128, "x" * 130, "x" * 300, "\x12\x01a", "\x82\x01", "\n"]),
    st.text(max_size=12),
)
_numbers = st.one_of(st.integers(), st.floats(), st.integers(-5, 20)).map(json.dumps)
_values = st.one_of(
    _numbers,
    st.sampled_from(["null", "true", "NaN", "-Infinity", "1e5", "1E+5", "0.10", "-0", "01", "1.", ".5", "-", "", " 1"]),
    st.sampled_from(
        ["Infinity", "[1,2]", "[]", "{}", '{"k":1}', '{"k":{"l":2}}', '"x\\"y"', '","', '":', '1,"b":2', "nope"]
    ),
    st.sampled_from(
        ["9" * 100, "9" * 130, '"' + "v" * 125 + '"', '"' + "v" * 126 + '"', '"' + "v" * 200 + '"', '"\n"']
    ),
    st.text(max_size=15).map(json.dumps),
    st.text(max_size=15).map(lambda text: json.dumps(text, ensure_ascii=False)),
)
_items: st.SearchStrategy[Item] = st.tuples(st.lists(_labels, min_size=1, max_size=3), _values)
_flat_items: st.SearchStrategy[Item] = st.tuples(st.lists(_labels, min_size=1, max_size=1), _values)
_rows = st.lists(st.one_of(_flat_items, _flat_items, _items), max_size=8)


def _fill(target: Any, path: list[str], value: str, *, by_key: bool) -> None:
    if by_key and len(path) == 1:
        target.key = path[0]
    else:
        target.nested_key.extend(path)
    target.value_json = value.encode()


def _history(items: list[Item], by_key: bool, step: int | None) -> bytes:
    record = HistoryRecord()
    for path, value in items:
        _fill(record.item.add(), path, value, by_key=by_key)
    if step is not None:
        record.step.num = step
    return bytes(record.SerializeToString())


def _as_general(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "plain_line", lambda _: None)
    monkeypatch.setattr(summary, "plain_items", lambda _: None)


@settings(max_examples=600, deadline=None)
@example([(["a"], "1"), (["a"], "2")], True, 3)
@example([(["_step"], "3"), (["a"], '"_step"')], False, 3)
@example([(["a"], '1,"b":2'), (["b"], "3")], False, None)
@example([(["a"], "1"), (["b"], "2")], False, 10)
@example([(["a"], "1"), (["b"], "2")], False, 130)
@example([(["a"], "1"), (["b"], "2")], False, 16_642)
@given(_rows, st.booleans(), st.one_of(st.none(), st.integers(0, 1 << 40)))
def test_rows_are_the_same_both_ways(items: list[Item], by_key: bool, step: int | None) -> None:
    """Adversarial keys and values: the line has the same members, and the same is set aside."""
    record = _history(items, by_key, step)
    fast, general = HistoryRows(2), HistoryRows(2)
    with pytest.MonkeyPatch.context() as patch:
        _as_general(patch)
        expected = general.line(record)
    found = fast.line(record)
    assert (found is None) == (expected is None)
    if found is not None and expected is not None:
        # A number may be too long for Python's own parser; as text it is the same.
        assert _loads(found) == _loads(expected)
    assert (fast.last_step, fast.next_step, fast.set_aside) == (general.last_step, general.next_step, general.set_aside)


def _loads(line: str) -> Any:
    return json.loads(line, parse_int=str, parse_float=str, parse_constant=str)


_updates = st.tuples(st.just("update"), st.one_of(_flat_items, _items))
_removals = st.tuples(st.just("remove"), st.one_of(_flat_items, _items))
_summaries = st.lists(st.lists(st.one_of(_updates, _updates, _updates, _removals), max_size=5), max_size=8)


@settings(max_examples=600, deadline=None)
@example([[("update", (["a", "b"], "1"))], [("update", (["a"], "2"))], [("update", (["a", "b"], "3"))]], False, True)
@example([[("update", (["a"], "1"))], [("remove", (["a"], "1"))], [("update", (["a"], "1"))]], True, False)
@example([[("update", (["a", "b"], "1")), ("update", (["a", "b", "c"], "2"))]], False, False)
@given(_summaries, st.booleans(), st.booleans())
def test_summaries_are_the_same_both_ways(records: list[list[tuple[str, Item]]], by_key: bool, repeated: bool) -> None:
    """Updates and removals of flat and nested keys, in any order: the same summary, asked for once or each time."""
    fast, general = Summary(), Summary()
    expected: str | None = None
    for items in records:
        record = SummaryRecord()
        for what, (path, value) in items:
            _fill(getattr(record, what).add(), path, value, by_key=by_key)
        data = bytes(record.SerializeToString())
        with pytest.MonkeyPatch.context() as patch:
            _as_general(patch)
            general.apply(data)
            expected = general.to_json(4)
        fast.apply(data)
        if repeated:
            fast.apply(data)
            assert _loads(fast.to_json(4) or "{}") == _loads(expected or "{}")
    assert not records or _loads(fast.to_json(4) or "{}") == _loads(expected or "{}")


@pytest.mark.parametrize("step", [None, 0, 5, 300])
def test_an_item_that_is_not_plain_is_never_passed_over(step: int | None) -> None:
    """Bytes of a plain item that look like the row's step, as far behind as the other item is long: nothing is lost."""
    for size, last in itertools.product(range(20, 60), range(10, 80)):
        # A value of 18 characters: its length byte is the tag of the step, and its first character a length.
        items: list[Item] = [(["list"], f"[{'1' * size}]"), (["a"], f"-0.{'1' * 15}"), (["b"], "1" * last)]
        line = HistoryRows().line(_history(items, False, step))
        assert line is not None
        assert set(json.loads(line)) == {"list", "a", "b", "_step"}


def test_a_usual_row_goes_the_fast_way() -> None:
    """What most of a log consists of is plain: otherwise the tests above would compare one way with itself."""
    items: list[Item] = [(["metric/1"], "1.5e-05"), (["_step"], "7"), (["name"], '"a b"'), (["flag"], "true")]
    for by_key in (True, False):
        plain = plain_items.plain_line(_history(items, by_key, 7))
        assert plain is not None
        assert plain[0] == '{"metric/1":1.5e-05,"_step":7,"name":"a b","flag":true}'
    record = SummaryRecord()
    _fill(record.update.add(), ["_wandb", "runtime"], "5", by_key=False)
    _fill(record.update.add(), ["_runtime"], "5", by_key=True)
    pairs = plain_items.plain_items(record.SerializeToString())
    assert pairs is not None
    assert [(plain_items.labels(key), value) for key, value in pairs] == [
        (["_wandb", "runtime"], "5"),
        (["_runtime"], "5"),
    ]


@pytest.mark.parametrize(
    "items",
    [
        [(["a", "b"], "1")],
        [(["a"], "[1]")],
        [(["é"], "1")],
        [(["a"], "1"), (["a"], "2")],
        [(["a"], "01")],
        [(["x" * 128], "1")],
        [],
    ],
)
def test_what_is_not_plain_is_left_to_the_general_way(items: list[Item]) -> None:
    """Nested keys, objects, other scripts, a key twice, no JSON, long keys, nothing at all."""
    assert plain_items.plain_line(_history(items, False, 1)) is None
