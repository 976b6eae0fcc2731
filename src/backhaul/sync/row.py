"""A row as its JSON text: its step, its time, and whether a server's row is the same one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from backhaul.sync.verify import plain


def members_of(row: str) -> dict[str, Any]:
    """What is in a row, comparable; nothing for a text that is no row."""
    try:
        members = plain(json.loads(row))
    except ValueError:
        return {}
    return members if isinstance(members, dict) else {}


def step_of(row: str) -> int:
    """The step of a row, or the last one of a summary; -1 when there is none."""
    step = members_of(row).get("_step")
    return step if isinstance(step, int) else -1


def time_of(row: str) -> float | None:
    """When a row was recorded, in Unix seconds; None when it does not say."""
    time = members_of(row).get("_timestamp")
    return time if isinstance(time, int | float) else None


def is_newer(row: str, other: str) -> bool:
    """Whether `row` was recorded after `other`, by the times that both carry."""
    before, after = time_of(other), time_of(row)
    return before is not None and after is not None and before < after


def is_same(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Whether a server's row is ours; it may have added to it, which a row with a time of its own survives."""
    if "_timestamp" not in ours:
        return ours == theirs
    return all(key in theirs and theirs[key] == value for key, value in ours.items())
