"""Filters of run lists: JSON in the style of MongoDB."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from typing import Any

import regex

from backhaul.depot.graphql.context import Context
from backhaul.depot.graphql.fields import field_of, value_of
from backhaul.depot.model import Run
from backhaul.depot.refusal import Refused
from backhaul.depot.selection import Comparison, Condition, Every, Field, Not, Some

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


def condition(filters: Filters, depth: int = 0) -> Condition:
    """What the filters say; an empty `$or` restricts nothing. Refused with 400 for an unknown operator."""
    if depth > _DEEPEST:
        raise Refused("invalid filters: nested too deeply")

    def below(part: Any) -> Condition:
        return condition(part, depth + 1) if isinstance(part, dict) else Every()

    parts: list[Condition] = []
    for name, wanted in filters.items():
        if name in _COMBINE:
            parts += [_COMBINE[name](tuple(below(part) for part in _list(name, wanted)))] if wanted else []
        elif name == "$not":
            parts.append(Not(below(wanted)))
        else:
            parts.append(_compared(field_of(name), wanted, depth + 1))
    return Every(tuple(parts))


def _list(name: str, wanted: Any) -> list[Any]:
    if not isinstance(wanted, list):
        raise Refused(f"invalid filters: {name} needs a list")
    return wanted


def fulfils(run: Run, wanted: Condition, context: Context) -> bool:
    """Whether the run fulfils the condition. A comparison of different types does not hold."""
    context.check_time()
    if isinstance(wanted, Comparison):
        return _holds(wanted, value_of(run, wanted.field.asked, context))
    if isinstance(wanted, Not):
        return not fulfils(run, wanted.part, context)
    held = (fulfils(run, part, context) for part in wanted.parts)
    return all(held) if isinstance(wanted, Every) else any(held)


_COMBINE: dict[str, Callable[[tuple[Condition, ...]], Condition]] = {
    "$and": Every,
    "$or": Some,
    "$nor": lambda parts: Not(Some(parts)),
}


def _compared(field: Field, wanted: Any, depth: int) -> Condition:
    if depth > _DEEPEST:
        raise Refused("invalid filters: nested too deeply")
    if not isinstance(wanted, dict) or not any(str(key).startswith("$") for key in wanted):
        return Comparison(field, "$eq", wanted)
    return Every(tuple(_operator(field, name, operand, depth) for name, operand in wanted.items()))


def _operator(field: Field, name: str, operand: Any, depth: int) -> Condition:
    if name == "$not":
        return Not(_compared(field, operand, depth + 1))
    if name not in _COMPARISONS:
        raise Refused(f"invalid filters: unknown operator {name!r}")
    return Comparison(field, name, operand)


def _holds(comparison: Comparison, value: Any) -> bool:
    try:
        return bool(_COMPARISONS[comparison.operator](value, comparison.operand))
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
}
