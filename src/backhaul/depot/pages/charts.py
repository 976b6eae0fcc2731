"""The charts of one run: its metrics, or those of the machine it ran on."""

from __future__ import annotations

import re
from typing import Any

from backhaul.depot.model import EVENTS, HISTORY, Run
from backhaul.depot.pages import heading
from backhaul.depot.pages.visit import Visit

_UNGROUPED = "Charts"


def metrics(visit: Visit) -> dict[str, Any]:
    """The keys of the history that hold numbers."""
    return _page(visit, "charts", HISTORY, ["step", "relative", "wall"])


def system(visit: Visit) -> dict[str, Any]:
    """The keys of the system metrics."""
    return _page(visit, "system", EVENTS, ["relative", "wall"])


def _page(visit: Visit, tab: str, stream: str, axes: list[str]) -> dict[str, Any]:
    run = visit.run()
    keys = numeric_keys(visit, run, stream)
    return heading.of_page(visit, run, tab) | {
        "stream": "system" if stream == EVENTS else "history",
        "axes": axes,
        "count": len(keys),
        "groups": grouped(keys),
    }


def numeric_keys(visit: Visit, run: Run, stream: str = HISTORY) -> list[str]:
    """The keys of a stream under which numbers were logged, by name; without those that the SDK keeps for itself."""
    facts = (visit.services.history.keys(run, stream) or {}).get("keys", {})
    numeric = (key for key, fact in facts.items() if any(kind["type"] == "number" for kind in fact["typeCounts"]))
    return sorted((key for key in numeric if not key.startswith("_")), key=natural)


def natural(key: str) -> list[tuple[int, int, str]]:
    """An order in which `w2` comes before `w10`."""
    parts = (part for part in re.split(r"([0-9]{1,15})", key) if part)
    return [(0, int(part), "") if part.isascii() and part.isdecimal() else (1, 0, part) for part in parts]


def grouped(keys: list[str]) -> list[dict[str, Any]]:
    """The keys by what stands before their first slash; those without one come first."""
    groups: dict[str, list[str]] = {}
    for key in keys:
        prefix, slash, _ = key.partition("/")
        groups.setdefault(prefix if slash and prefix else "", []).append(key)
    return [{"name": name or _UNGROUPED, "keys": groups[name]} for name in sorted(groups, key=natural)]
