"""Rows of any shape as columns of one kind."""

from __future__ import annotations

import json
from typing import Any

from backhaul.runs.table import Kind, cells, columns_of, flat


def _column(*values: Any) -> tuple[Kind, list[Any]]:
    rows = [{"x": value} for value in values]
    columns = columns_of(rows)
    return columns[0].kind, [cells(row, columns)[0] for row in rows]


def test_a_column_is_as_narrow_as_its_values_allow() -> None:
    """Whole numbers with fractions are doubles; everything else that is mixed is JSON text, which loses nothing."""
    assert _column(1, None, 2) == (Kind.INT, [1, None, 2])
    assert _column(1, 2.5) == (Kind.FLOAT, [1.0, 2.5])
    assert _column(True, False) == (Kind.BOOL, [True, False])
    assert _column(True, 1) == (Kind.JSON, ["true", "1"])
    assert _column("a", 1) == (Kind.JSON, ['"a"', "1"])
    assert _column([1, 2], None) == (Kind.JSON, ["[1, 2]", None])
    assert _column(None, None) == (Kind.EMPTY, [None, None])


def test_numbers_that_a_double_cannot_hold_stay_exact() -> None:
    """Beside fractions, 2**53 + 1 would become 2**53; beyond int64 there is no whole-number column."""
    for values in ((0.5, 2**53 + 1), (2**53 + 1, 0.5)):
        kind, texts = _column(*values)
        assert kind is Kind.JSON
        assert [json.loads(text) for text in texts] == list(values)
    assert _column(2**63 - 1)[0] is Kind.INT
    assert _column(2**63) == (Kind.JSON, [str(2**63)])


def test_nested_keys_get_dots_and_media_stay_whole() -> None:
    """An empty dict is a value as well, or the row would lose it."""
    row = {"a": {"b": {"c": 1}}, "image": {"_type": "image-file", "path": "p"}, "empty": {}}
    assert dict(flat(row)) == {("a", "b", "c"): 1, ("image",): row["image"], ("empty",): {}}


def test_two_keys_of_one_dotted_name_are_two_columns() -> None:
    """`a.b` as a key and b in a are different metrics."""
    rows = [{"a.b": 1}, {"a": {"b": 2}}]
    columns = columns_of(rows)
    assert [column.name for column in columns] == ["a.b", "a.b#2"]
    assert [cells(row, columns) for row in rows] == [[1, None], [None, 2]]


def test_step_and_times_come_first() -> None:
    """Then the keys as they turned up."""
    rows = [{"z": 1, "_runtime": 0.5, "_step": 0}, {"a": 1, "_step": 1, "_timestamp": 2.0}]
    assert [column.name for column in columns_of(rows)] == ["_step", "_timestamp", "_runtime", "z", "a"]
