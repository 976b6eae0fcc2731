"""History rows: what a line says, found without reading more of it than needed.

A line is a JSON object, in which NaN and the infinities may occur as bare words. Nested values are named by dotted
keys (`a.b`), which may also occur literally.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any, TypeGuard

_STEP = re.compile(r'"_step": ?(-?[0-9]{1,18})[,}]')  # longer ones are left to JSON, which Python may refuse to read

DEEPEST = 100
"""Objects and lists inside one another. What walks through a row calls itself once or twice for each."""

LARGEST = 1 << 1000
"""What every whole number that counts as one is below."""

Row = dict[str, Any]


def parse(line: str) -> Row:
    """The row of a line; an empty one for a line that is no JSON object, or is nested deeper than `DEEPEST`."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return row if isinstance(row, dict) and not too_deep(line, row) else {}


def too_deep(line: str, row: Any) -> bool:
    """Whether what the line says is nested deeper than `DEEPEST`; nobody logs such rows but to do harm."""
    if line.count("[") + line.count("{") <= DEEPEST:
        return False
    level: list[Any] = [row]
    for _ in range(DEEPEST):
        level = [item for each in level for item in _items(each) if isinstance(item, (dict, list))]
        if not level:
            return False
    return True


def _items(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def step_of(line: str, number: int) -> int:
    """The row's `_step`, or its line number when it has none."""
    found = _STEP.findall(line)
    if len(found) == 1 and line.find("{", 1) < 0:  # no nested object, to which the match could belong
        return int(found[0])
    step = parse(line).get("_step")
    return int(step) if is_number(step) else number


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether a chart can draw the value: a finite number, and none of Python's whole ones beyond all floating ones."""
    if type(value) is float:
        return math.isfinite(value)
    return type(value) is int and -LARGEST < value < LARGEST


def value_at(row: Row, key: str) -> Any:
    """The value of a dotted key, or None: the literal key first, then the path."""
    if key in row:
        return row[key]
    head, dot, rest = key.partition(".")
    while dot:
        below = row.get(head)
        if isinstance(below, dict) and (found := value_at(below, rest)) is not None:
            return found
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    return None


def flat(row: Row, prefix: str = "") -> Row:
    """The row with nested objects spelled as dotted keys; media (objects with `_type`) stay whole."""
    result: Row = {}
    for key, value in row.items():
        if isinstance(value, dict) and "_type" not in value and value:
            result.update(flat(value, f"{prefix}{key}."))
        else:
            result[f"{prefix}{key}"] = value
    return result


def strict(value: Any) -> Any:
    """The value as strict JSON allows it: NaN and the infinities become the strings that clients know."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, dict):
        return {key: strict(item) for key, item in value.items()}
    if isinstance(value, list):
        return [strict(item) for item in value]
    return value
