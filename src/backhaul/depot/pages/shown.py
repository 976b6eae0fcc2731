"""How values look to people."""

from __future__ import annotations

import json
import math
from typing import Any

from backhaul.depot import rows
from backhaul.depot.model import Run

Pair = dict[str, str]
"""A `key` and its `value`, as a table shows them."""


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, the leading ones left out when they are zero."""
    hours, rest = divmod(round(max(0.0, seconds)), 3600)
    minutes, left = divmod(rest, 60)
    parts = [f"{hours}h"] * bool(hours) + [f"{minutes}m"] * bool(hours or minutes) + [f"{left}s"]
    return " ".join(parts)


def size(count: int) -> str:
    """A number of bytes, in the unit that leaves one to three digits before the point."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.5:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} TB"


def ago(then: float, now: float) -> str:
    """How long ago a time was, in its largest unit."""
    seconds = max(0.0, now - then)
    for limit, unit, name in (
        (90, 1, "second"),
        (5400, 60, "minute"),
        (129600, 3600, "hour"),
        (math.inf, 86400, "day"),
    ):
        if seconds < limit:
            count = round(seconds / unit)
            return "just now" if count < 10 and unit == 1 else f"{count} {name}{'s' * (count != 1)} ago"
    raise AssertionError("the last unit has no limit")


def text(value: Any) -> str:
    """A value of a config, a summary or a table."""
    if value is None:
        return "null"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict) and "_type" in value:  # media: what it is and where it lies, not its bookkeeping
        return " ".join(str(value[part]) for part in ("_type", "path") if value.get(part))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def pairs(values: dict[str, Any]) -> list[Pair]:
    """Keys and values as text, by key; what the SDK keeps for itself is left out."""
    return [{"key": key, "value": text(value)} for key, value in sorted(values.items()) if not key.startswith("_")]


def config(run: Run) -> dict[str, Any]:
    """The config by dotted key, without what the SDK keeps for itself."""
    items = rows.parse(run.config).items()
    bare = {key: item.get("value", item) if isinstance(item, dict) else item for key, item in items if key != "_wandb"}
    return rows.flat(bare)


def summary(run: Run) -> dict[str, Any]:
    """The summary by dotted key."""
    return rows.flat(rows.parse(run.summary))


def ran(run: Run) -> float:
    """How many seconds the run ran, as it says itself; a synced run arrives in a fraction of that."""
    said = rows.value_at(rows.parse(run.summary), "_runtime")
    return float(said) if rows.is_number(said) else run.heartbeat_at - run.created_at
