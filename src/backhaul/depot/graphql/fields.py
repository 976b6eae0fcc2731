"""Runs by field name, as filters and orders name them.

Names: `name` (the run id), `displayName`, `state`, `tags`, `group`, `jobType`, `username`, `sweep`, `createdAt`,
`heartbeatAt`, also in snake case; `config.KEY` with or without a trailing `.value`; `summary_metrics.KEY`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from backhaul.depot import rows
from backhaul.depot.graphql.context import Context
from backhaul.depot.graphql.times import iso
from backhaul.depot.model import Run
from backhaul.depot.selection import Field

_SUMMARY = ("summary_metrics", "summaryMetrics", "summary")

_PLAIN: dict[str, Callable[[Run, Context], Any]] = {
    "name": lambda run, _c: run.name,
    "display_name": lambda run, _c: run.display_name,
    "state": lambda run, context: context.state_of(run),
    "tags": lambda run, _c: list(run.tags),
    "group": lambda run, _c: run.group,
    "job_type": lambda run, _c: run.job_type,
    "host": lambda run, _c: run.host,
    "notes": lambda run, _c: run.notes,
    "description": lambda run, _c: run.description,
    "username": lambda run, context: run.user or context.services.entity,
    "user.username": lambda run, context: run.user or context.services.entity,
    "sweep": lambda run, _c: run.sweep,
    "created_at": lambda run, _c: iso(run.created_at),
    "updated_at": lambda run, _c: iso(run.updated_at),
    "heartbeat_at": lambda run, _c: iso(run.heartbeat_at),
}


def field_of(name: str) -> Field:
    """The field of that name, as a store files its values."""
    head, _, rest = name.partition(".")
    if head == "config" and rest:
        bare = _without_value(rest)
        return Field(name, f"config.{bare}", None if bare == rest else f"config.{rest}")
    if head in _SUMMARY and rest:
        return Field(name, f"summary.{rest}")
    return Field(name, _plain_name(name))


def value_of(run: Run, name: str, context: Context) -> Any:
    """The run's value of that field; None for one that it lacks or that nobody knows."""
    head, _, rest = name.partition(".")
    if head == "config" and rest:
        return _config_value(run, rest)
    if head in _SUMMARY and rest:
        return rows.value_at(rows.parse(run.summary), rest)
    plain = _PLAIN.get(_plain_name(name))
    return plain(run, context) if plain else None


def _config_value(run: Run, key: str) -> Any:
    config = rows.parse(run.config)
    bare = {name: item.get("value", item) if isinstance(item, dict) else item for name, item in config.items()}
    found = rows.value_at(bare, key)
    return rows.value_at(bare, _without_value(key)) if found is None else found


def _without_value(key: str) -> str:
    """Of `KEY.value` and `KEY.value.MORE`, as the official client names config keys, what is left without `value`."""
    head, _, rest = key.removesuffix(".value").partition(".value.")
    return f"{head}.{rest}" if rest else head


def _plain_name(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name).lower()
