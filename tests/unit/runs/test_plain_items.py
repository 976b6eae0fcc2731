"""The fast way through a record's items gives what the general way gives, whatever the items are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backhaul.runs import plain_items, summary
from backhaul.runs.summary import Summary
from backhaul.wandblog.schema import SummaryRecord
from tests.odd_items import FLAT_ITEMS, ITEMS, Item, fill


def _as_general(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "plain_items", lambda _: None)


def _loads(line: str) -> Any:
    return json.loads(line, parse_int=str, parse_float=str, parse_constant=str)


_updates = st.tuples(st.just("update"), st.one_of(FLAT_ITEMS, ITEMS))
_removals = st.tuples(st.just("remove"), st.one_of(FLAT_ITEMS, ITEMS))
_summaries = st.lists(st.lists(st.one_of(_updates, _updates, _updates, _removals), max_size=5), max_size=8)


@settings(max_examples=300, deadline=None)
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
            fill(getattr(record, what).add(), path, value, by_key=by_key)
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


def test_a_usual_record_goes_the_fast_way() -> None:
    """What most of a log consists of is plain: otherwise the test above would compare one way with itself."""
    record = SummaryRecord()
    fill(record.update.add(), ["_wandb", "runtime"], "5", by_key=False)
    fill(record.update.add(), ["_runtime"], "5", by_key=True)
    pairs = plain_items.plain_items(record.SerializeToString())
    assert pairs is not None
    assert [(plain_items.labels(key), value) for key, value in pairs] == [
        (["_wandb", "runtime"], "5"),
        (["_runtime"], "5"),
    ]
