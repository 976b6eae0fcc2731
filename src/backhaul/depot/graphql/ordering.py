"""Orders of run lists: `+field` or `-field`."""

from __future__ import annotations

from typing import Any

from backhaul.depot.graphql.context import Context
from backhaul.depot.graphql.fields import value_of
from backhaul.depot.model import Run


def ordered(runs: list[Run], order: str | None, context: Context) -> list[Run]:
    """The runs in that order (oldest first by default). Runs without the value come last, ties by age."""
    order = order or "+created_at"
    descending, name = order.startswith("-"), order.lstrip("+-")
    by_age = sorted(runs, key=lambda run: run.id, reverse=descending and name in ("created_at", "createdAt"))
    if name in ("created_at", "createdAt"):
        return by_age
    having, lacking = [], []
    for run in by_age:
        key = _sortable(value_of(run, name, context))
        if key is None:
            lacking.append(run)
        else:
            having.append((key, run))
    having.sort(key=lambda pair: pair[0], reverse=descending)
    return [run for _, run in having] + lacking


def _sortable(value: Any) -> tuple[int, Any] | None:
    """Numbers before texts; anything else, and NaN, cannot be sorted."""
    if isinstance(value, (int, float)) and value == value:
        return (0, value)
    return (1, value) if isinstance(value, str) else None
