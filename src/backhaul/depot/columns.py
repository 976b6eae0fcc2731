"""A batch of rows by column: what charts draw and what is known of each key, read once."""

from __future__ import annotations

import math
import operator
from array import array
from collections import Counter
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from backhaul.depot import rows
from backhaul.depot.rows import Row

Points: TypeAlias = "tuple[array[int], array[float]]"  # a text, because Python 3.11 cannot subscript an array
"""Places of rows, ascending, and the finite numbers there."""


@dataclass(frozen=True, slots=True)
class Column:
    """One key of a batch. `places` are the rows that have a finite number there, `numbers` these numbers."""

    types: Counter[str]
    last: Any
    grows: bool
    places: array[int]
    numbers: array[float]

    @property
    def points(self) -> Points:
        """The numbers with their places."""
        return self.places, self.numbers


Batch = dict[str, Column]
"""The columns of a batch, by dotted key."""


def read(lines: list[str]) -> Batch:
    """The columns of the lines; a line that is no JSON object is a row without values."""
    found = _parsed(lines)
    names = list(found[0]) if found else []
    if len(names) > 1 and set(map(len, found)) == {len(names)}:
        try:
            return _of_one_shape(names, found)
        except KeyError:  # as many keys, but others
            pass
    return _of_any_shape(found)


def joined(parts: list[tuple[int, Batch]]) -> Batch:
    """The columns of several batches as those of one; each comes with what its places are counted from."""
    together: dict[str, list[tuple[int, Column]]] = {}
    for start, batch in parts:
        for key, column in batch.items():
            together.setdefault(key, []).append((start, column))
    return {key: _concatenated(columns) for key, columns in together.items()}


def weigh(batch: Batch) -> int:
    """About how many bytes the batch takes in memory."""
    return sum(500 + 12 * len(column.places) for column in batch.values())


def _of_one_shape(names: list[str], found: list[Row]) -> Batch:
    """Rows with the same keys, in whatever order, as nearly all runs have them. Raises KeyError for others."""
    every = array("i", range(len(found)))
    values = zip(*map(operator.itemgetter(*names), found), strict=True)
    return {name: _column(every, list(column)) for name, column in zip(names, values, strict=True)}


def _of_any_shape(found: list[Row]) -> Batch:
    places: dict[str, array[int]] = {}
    values: dict[str, list[Any]] = {}
    for place, row in enumerate(found):
        for key, value in row.items():
            if key in values:
                places[key].append(place)
                values[key].append(value)
            else:
                places[key], values[key] = array("i", [place]), [value]
    return {key: _column(places[key], values[key]) for key in values}


def _concatenated(parts: list[tuple[int, Column]]) -> Column:
    places, numbers, types, grows = array("i"), array("d"), Counter[str](), True
    for start, column in parts:
        grows = grows and column.grows and not (numbers and column.numbers and column.numbers[0] < numbers[-1])
        places.extend(array("i", [start + place for place in column.places]) if start else column.places)
        numbers.extend(column.numbers)
        types.update(column.types)
    return Column(types, parts[-1][1].last, grows, places, numbers)


def _parsed(lines: list[str]) -> list[Row]:
    """All lines in one go, which is faster; one by one when some line is no strict JSON."""
    text = f"[{','.join(lines)}]"
    found: list[Any]
    try:
        found = orjson.loads(text)
    except ValueError:
        found = []
    if len(found) != len(lines):
        found = [rows.parse(line) for line in lines]
    if set(map(type, found)) == {dict} and text.count("{") == len(lines) and text.count("[") == 1:
        return found  # no row holds an object or a list, so that none is nested
    return [_flat(line, row) if isinstance(row, dict) else {} for line, row in zip(lines, found, strict=True)]


def _flat(line: str, row: Row) -> Row:
    if rows.too_deep(line, row):
        return {}
    return rows.flat(row) if dict in map(type, row.values()) else row


def _column(places: array[int], values: list[Any]) -> Column:
    types = Counter(map(type, values))
    if _all_finite(types, values):
        counted = Counter({"number": len(values)})
        return Column(counted, values[-1], _grows(values), places, array("d", values))
    kept = [(place, value) for place, value in zip(places, values, strict=True) if rows.is_number(value)]
    numbers = [value for _, value in kept]
    named = Counter(_type_name(value) for value in values)
    where = array("i", [place for place, _ in kept])
    return Column(named, values[-1], _grows(numbers), where, array("d", numbers))


def _all_finite(types: Counter[Any], values: list[Any]) -> bool:
    """Whether every value can be drawn, for the columns of one type that nearly all columns are."""
    if types.keys() == {float}:
        return all(map(math.isfinite, values))
    return types.keys() == {int} and min(values) > -rows.LARGEST and max(values) < rows.LARGEST


def _grows(numbers: list[float]) -> bool:
    return all(map(operator.le, numbers, numbers[1:]))


def _type_name(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("_type", "map"))
    names = {bool: "bool", int: "number", float: "number", str: "string", list: "list", type(None): "nil"}
    return names[type(value)]
