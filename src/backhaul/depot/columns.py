"""A batch of rows by column: what charts draw and what is known of each key, read once."""

from __future__ import annotations

import json
import math
import operator
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from backhaul.depot import rows
from backhaul.depot.rows import Row

_LARGEST = 1 << 1000


@dataclass(frozen=True, slots=True)
class Column:
    """One key of a batch. `places` are the rows that have a finite number there, `numbers` these numbers."""

    types: Counter[str]
    last: Any
    grows: bool
    places: array[int]
    numbers: array[float]


Batch = dict[str, Column]
"""The columns of a batch, by dotted key."""


def read(lines: list[str]) -> Batch:
    """The columns of the lines; a line that is no JSON object is a row without values."""
    places: dict[str, list[int]] = {}
    values: dict[str, list[Any]] = {}
    for place, row in enumerate(_parsed(lines)):
        for key, value in row.items():
            if key in values:
                places[key].append(place)
                values[key].append(value)
            else:
                places[key], values[key] = [place], [value]
    return {key: _column(places[key], values[key]) for key in values}


def weigh(batch: Batch) -> int:
    """About how many bytes the batch takes in memory."""
    return sum(500 + 12 * len(column.places) for column in batch.values())


def _parsed(lines: list[str]) -> Iterable[Row]:
    """All lines in one go, which is faster; one by one when some line is no JSON."""
    try:
        found = json.loads(f"[{','.join(lines)}]")
    except ValueError:
        found = []
    if len(found) != len(lines):
        found = [rows.parse(line) for line in lines]
    return (_flat(row) if isinstance(row, dict) else {} for row in found)


def _flat(row: Row) -> Row:
    nested = any(type(value) is dict for value in row.values())
    return rows.flat(row) if nested else row


def _column(places: list[int], values: list[Any]) -> Column:
    types = Counter(map(type, values))
    if _all_finite(types, values):
        counted = Counter({"number": len(values)})
        return Column(counted, values[-1], _grows(values), array("i", places), array("d", values))
    kept = [(place, value) for place, value in zip(places, values, strict=True) if _is_finite(value)]
    numbers = [value for _, value in kept]
    named = Counter(_type_name(value) for value in values)
    where = array("i", [place for place, _ in kept])
    return Column(named, values[-1], _grows(numbers), where, array("d", numbers))


def _all_finite(types: Counter[Any], values: list[Any]) -> bool:
    """Whether every value can be drawn, for the columns of one type that nearly all columns are."""
    if types.keys() == {float}:
        return all(map(math.isfinite, values))
    return types.keys() == {int} and min(values) > -_LARGEST and max(values) < _LARGEST


def _grows(numbers: list[float]) -> bool:
    return all(map(operator.le, numbers, numbers[1:]))


def _is_finite(value: Any) -> bool:
    """Whether a chart can draw it: a number, and not one of Python's whole numbers beyond all floating ones."""
    if type(value) is float:
        return math.isfinite(value)
    return type(value) is int and -_LARGEST < value < _LARGEST


def _type_name(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("_type", "map"))
    names = {bool: "bool", int: "number", float: "number", str: "string", list: "list", type(None): "nil"}
    return names[type(value)]
