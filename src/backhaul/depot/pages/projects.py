"""The front page: the projects, and the runs that came last."""

from __future__ import annotations

from typing import Any

from backhaul.depot.graphql.times import iso
from backhaul.depot.model import ProjectFacts
from backhaul.depot.pages import heading, places, shown
from backhaul.depot.pages.visit import Visit

_LATEST = 8


def view(visit: Visit) -> dict[str, Any]:
    """All projects, the one that was active last first, and the newest runs."""
    facts = sorted(visit.store.project_facts(), key=lambda each: each.active_at, reverse=True)
    return {
        "title": "Projects",
        "address": visit.base,
        "projects": [_row(visit, each) for each in facts],
        "runs": [heading.of_run(visit, run) for run in visit.store.runs(limit=_LATEST)],
    }


def _row(visit: Visit, facts: ProjectFacts) -> dict[str, Any]:
    return {
        "entity": facts.project.entity,
        "name": facts.project.name,
        "path": places.of_project(facts.project),
        "runs": facts.runs,
        "artifacts": facts.artifacts,
        "bytes": facts.size,
        "active": iso(facts.active_at),
        "ago": shown.ago(facts.active_at, visit.now),
    }
