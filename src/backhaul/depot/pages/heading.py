"""What stands at the top of every page of a run."""

from __future__ import annotations

from typing import Any

from backhaul.depot.graphql.times import iso
from backhaul.depot.model import Run
from backhaul.depot.pages import places, shown
from backhaul.depot.pages.visit import Visit


def of_run(visit: Visit, run: Run) -> dict[str, Any]:
    """The run in short."""
    counts = visit.store.line_counts(run.id)
    return {
        "id": run.name,
        "name": run.display_name,
        "entity": run.project.entity,
        "project": run.project.name,
        "state": run.state_at(visit.now),
        "created": iso(run.created_at),
        "duration": shown.duration(shown.ran(run)),
        "rows": counts.history,
        "events": counts.events,
        "lines": counts.output,
        "tags": list(run.tags),
        "notes": run.notes,
        "group": run.group,
        "job_type": run.job_type,
        "user": run.user,
        "exit_code": run.exit_code,
        "path": places.of_run(run),
        "project_path": places.of_project(run.project),
    }


def of_page(visit: Visit, run: Run, tab: str) -> dict[str, Any]:
    """What every page of a run begins with; `tab` is which one it is."""
    return {"title": run.display_name, "tab": tab, "run": of_run(visit, run)}
