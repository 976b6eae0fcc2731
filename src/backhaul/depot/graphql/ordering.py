"""Orders of run lists: `+field` or `-field`."""

from __future__ import annotations

from typing import Any

from backhaul.depot.graphql.context import Context
from backhaul.depot.graphql.fields import field_of, value_of
from backhaul.depot.model import Run
from backhaul.depot.selection import Order


def parse_order(text: str | None) -> Order:
    """The order that the text names; oldest first for none."""
    text = text or "+created_at"
    return Order(field_of(text.lstrip("+-")), text.startswith("-"))


def ordered(runs: list[Run], order: Order, context: Context) -> list[Run]:
    """The runs in that order."""
    by_creation = order.field.name == "created_at"
    if by_creation:
        return sorted(runs, key=lambda run: (run.created_at, run.id), reverse=order.descending)
    having, lacking = [], []
    for run in sorted(runs, key=lambda run: run.id):
        key = _sortable(value_of(run, order.field.asked, context))
        if key is None:
            lacking.append(run)
        else:
            having.append((key, run))
    having.sort(key=lambda pair: pair[0], reverse=order.descending)
    return [run for _, run in having] + lacking


def _sortable(value: Any) -> tuple[int, Any] | None:
    """Numbers before texts; anything else, and NaN, cannot be sorted."""
    if isinstance(value, (int, float)) and value == value:
        return (0, value)
    return (1, value) if isinstance(value, str) else None
