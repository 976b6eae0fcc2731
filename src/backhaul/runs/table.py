"""Rows of any shape → columns of one kind each, for formats that want a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Path = tuple[str, ...]

_FIRST = ("_step", "_timestamp", "_runtime")
# Beyond this a double skips whole numbers; beyond the other, int64 ends.
_EXACT_IN_A_DOUBLE = 1 << 53
_INT64 = 1 << 63


class Kind(StrEnum):
    """What all values of a column are. `JSON`: of several kinds, or dicts or lists; kept as JSON text."""

    EMPTY = "empty"
    BOOL = "bool"
    INT = "int"
    FLOAT = "float"
    TEXT = "text"
    JSON = "json"


@dataclass(slots=True)
class Column:
    """A column: its name in the table, where its values lie in a row, and their kind."""

    name: str
    path: Path
    kind: Kind = Kind.EMPTY
    _has_big_int: bool = False

    def widen(self, value: Any) -> None:
        """Make the kind fit for one more value."""
        kind = _kind_of(value)
        self._has_big_int |= kind is Kind.INT and abs(value) > _EXACT_IN_A_DOUBLE
        if kind is Kind.EMPTY or kind is self.kind:
            pass
        elif self.kind is Kind.EMPTY:
            self.kind = kind
        elif {self.kind, kind} == {Kind.INT, Kind.FLOAT}:
            self.kind = Kind.FLOAT
        else:
            self.kind = Kind.JSON
        if self.kind is Kind.FLOAT and self._has_big_int:
            self.kind = Kind.JSON

    def convert(self, value: Any) -> Any:
        """A value as this column keeps it; None stays None."""
        if value is None:
            return None
        if self.kind is Kind.JSON:
            return json.dumps(value, ensure_ascii=False)
        return float(value) if self.kind is Kind.FLOAT else value


def flat(row: Mapping[str, Any], prefix: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The values of a row with their paths. Media (dicts with `_type`), empty dicts and lists are values."""
    for key, value in row.items():
        if isinstance(value, dict) and value and "_type" not in value:
            yield from flat(value, (*prefix, key))
        else:
            yield (*prefix, key), value


def columns_of(rows: Iterable[Mapping[str, Any]]) -> list[Column]:
    """The columns that hold these rows: step and times first, then in the order of their first value.

    A nested key is named with dots. Where that is the name of another column already, as when a key has dots of its
    own, a number is added: nothing is put into one column that was logged under two keys.
    """
    columns: dict[Path, Column] = {}
    names: set[str] = set()
    for row in rows:
        for path, value in flat(row):
            column = columns.get(path)
            if column is None:
                column = columns[path] = Column(_unused(".".join(path), names), path)
            column.widen(value)
    first = [columns.pop((name,)) for name in _FIRST if (name,) in columns]
    return [*first, *columns.values()]


def cells(row: Mapping[str, Any], columns: list[Column]) -> list[Any]:
    """A row's values by column; None where it has none."""
    values = dict(flat(row))
    return [column.convert(values.get(column.path)) for column in columns]


def _unused(name: str, names: set[str]) -> str:
    unused, number = name, 1
    while unused in names:
        number += 1
        unused = f"{name}#{number}"
    names.add(unused)
    return unused


def _kind_of(value: Any) -> Kind:
    match value:
        case None:
            return Kind.EMPTY
        case bool():
            return Kind.BOOL
        case int():
            return Kind.INT if -_INT64 <= value < _INT64 else Kind.JSON
        case float():
            return Kind.FLOAT
        case str():
            return Kind.TEXT
        case _:
            return Kind.JSON
