"""Filters of run lists: JSON in the style of MongoDB."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from typing import Any

import regex

from backhaul.depot.graphql.context import Context
from backhaul.depot.graphql.fields import value_of
from backhaul.depot.model import Run
from backhaul.depot.refusal import Refused

_DEEPEST = 32
_PATTERN_TIME = 0.5  # seconds for one value; an honest pattern takes microseconds

Filters = dict[str, Any]


def parse_filters(text: str | None) -> Filters:
    """The filters in `text`; none for no text. Refused with 400 when it is no JSON object."""
    if not text:
        return {}
    try:
        filters = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refused(f"invalid filters: {error}") from error
    if filters is not None and not isinstance(filters, dict):
        raise Refused("invalid filters: not a JSON object")
    return filters or {}


def matches(filters: Filters, run: Run, context: Context, depth: int = 0) -> bool:
    """Whether the run passes. A comparison of different types is no match; an empty `$or` restricts nothing."""
    if depth > _DEEPEST:
        raise Refused("invalid filters: nested too deeply")

    context.check_time()

    def below(part: Any) -> bool:
        return matches(part, run, context, depth + 1) if isinstance(part, dict) else True

    for name, wanted in filters.items():
        if name in _COMBINE:
            passed = not wanted or _COMBINE[name]([below(part) for part in wanted])
        elif name == "$not":
            passed = not below(wanted)
        else:
            passed = _field_matches(value_of(run, name, context), wanted)
        if not passed:
            return False
    return True


_COMBINE: dict[str, Callable[[list[bool]], bool]] = {
    "$and": all,
    "$or": any,
    "$nor": lambda parts: not any(parts),
}


def _field_matches(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict) and any(str(key).startswith("$") for key in wanted):
        return all(_compare(name, value, operand) for name, operand in wanted.items())
    return _equal(value, wanted)


def _compare(name: str, value: Any, operand: Any) -> bool:
    comparison = _COMPARISONS.get(name)
    if comparison is None:
        raise Refused(f"invalid filters: unknown operator {name!r}")
    try:
        return bool(comparison(value, operand))
    except TypeError:
        return False


def _equal(value: Any, wanted: Any) -> bool:
    if isinstance(value, list) and not isinstance(wanted, list):
        return wanted in value
    return bool(value == wanted)


def _search(value: Any, pattern: Any) -> bool:
    """`re` cannot be stopped, and some short patterns keep it busy for years; nobody else would be answered then."""
    try:
        return isinstance(value, str) and regex.search(str(pattern), value, timeout=_PATTERN_TIME) is not None
    except regex.error as error:
        raise Refused(f"invalid filters: {error}") from error
    except TimeoutError:
        raise Refused(f"invalid filters: the pattern {pattern!r} takes too long") from None


_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "$eq": _equal,
    "$ne": lambda value, wanted: not _equal(value, wanted),
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
    "$in": lambda value, wanted: any(_equal(value, item) for item in wanted),
    "$nin": lambda value, wanted: not any(_equal(value, item) for item in wanted),
    "$exists": lambda value, wanted: (value is not None) == bool(wanted),
    "$regex": _search,
    "$not": lambda value, wanted: not _field_matches(value, wanted),
}
