"""Several runs of a project beside one another: one chart per metric with a line each, and where they differ."""

from __future__ import annotations

from typing import Any

from backhaul.depot.model import Run
from backhaul.depot.pages import charts, heading, places, shown
from backhaul.depot.pages.visit import Visit

MOST_RUNS = 10
"""Lines in one chart; more cannot be told apart by their colours."""

_MOST_ROWS = 1000


def view(visit: Visit) -> dict[str, Any]:
    """The runs of the query (`run`, several times); with `all=1` rows in which they are equal are shown too."""
    project = visit.project()
    wanted = list(dict.fromkeys(visit.texts("run")))
    runs = [visit.run_named(name) for name in wanted[:MOST_RUNS]]
    keys = sorted({key for run in runs for key in charts.numeric_keys(visit, run)}, key=charts.natural)
    return {
        "title": "Compare runs",
        "entity": project.entity,
        "project": project.name,
        "project_path": places.of_project(project),
        "runs": [heading.of_run(visit, run) for run in runs],
        "left_out": max(0, len(wanted) - MOST_RUNS),
        "stream": "history",
        "axes": ["step", "relative", "wall"],
        "count": len(keys),
        "groups": charts.grouped(keys),
        "all": visit.text("all") == "1",
        "config": _table(visit, [shown.config(run) for run in runs]),
        "summary": _table(visit, [shown.summary(run) for run in runs]),
        "facts": _facts(runs),
    }


def _table(visit: Visit, columns: list[dict[str, Any]]) -> dict[str, Any]:
    """A row per key with the value of each run, None where one has none."""
    keys = sorted({key for values in columns for key in values if not key.startswith("_")})
    found = [_compared(key, [_text(values, key) for values in columns]) for key in keys]
    kept = [row for row in found if row["differs"] or visit.text("all") == "1"]
    return {"rows": kept[:_MOST_ROWS], "found": len(kept), "total": len(found)}


def _compared(key: str, values: list[str | None]) -> dict[str, Any]:
    return {"key": key, "values": values, "differs": len(set(values)) > 1}


def _text(values: dict[str, Any], key: str) -> str | None:
    return shown.text(values[key]) if key in values else None


def _facts(runs: list[Run]) -> list[dict[str, Any]]:
    told = (
        ("Group", [run.group for run in runs]),
        ("Job type", [run.job_type for run in runs]),
        ("Host", [run.host for run in runs]),
        ("Program", [run.program for run in runs]),
        ("Commit", [run.commit for run in runs]),
    )
    return [{"key": label, "values": values} for label, values in told if any(values)]
