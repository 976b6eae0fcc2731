"""Entity, project and run as mutations name them, with what counts when a name is missing."""

from __future__ import annotations

from backhaul.depot import names
from backhaul.depot.graphql.context import Args, Context, text
from backhaul.depot.model import Run
from backhaul.depot.refusal import not_found

UNCATEGORIZED = "uncategorized"
"""The project of runs that name none."""


def place(context: Context, fields: Args, project_field: str = "projectName") -> tuple[str, str]:
    """Entity and project. Refused with 400 for names that are not allowed."""
    entity = names.entity_name(text(fields, "entityName") or context.entity)
    return entity, names.project_name(text(fields, project_field) or UNCATEGORIZED)


def run_named(context: Context, fields: Args) -> Run:
    """The run that `entityName`, `projectName` and `runName` name. Refused with 404 when there is none."""
    entity, project = place(context, fields)
    name = text(fields, "runName") or ""
    run = context.store.run(entity, project, name)
    if run is None:
        raise not_found(f"run {entity}/{project}/{name}")
    return run
