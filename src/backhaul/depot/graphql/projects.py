"""A project and its lists of runs."""

from __future__ import annotations

from typing import Any

from backhaul.depot.graphql import sweeps, viewers
from backhaul.depot.graphql.collections import IN_PROJECT
from backhaul.depot.graphql.connections import connection, page_of, window
from backhaul.depot.graphql.context import Args, Context, Resolvers, text
from backhaul.depot.graphql.filters import condition, parse_filters
from backhaul.depot.graphql.identifiers import encode, of_project
from backhaul.depot.graphql.listing import listed
from backhaul.depot.graphql.ordering import parse_order
from backhaul.depot.graphql.times import iso
from backhaul.depot.model import Project, Run


def _runs(project: Project, context: Context, args: Args) -> Any:
    wanted, order = condition(parse_filters(text(args, "filters"))), parse_order(text(args, "order"))
    start, size = window(args)
    found = listed(project, wanted, order, (start, size), context)
    return page_of(found.runs, start, found.total)


def _run_count(project: Project, context: Context, args: Args) -> int:
    wanted = condition(parse_filters(text(args, "filters")))
    return listed(project, wanted, parse_order(None), (0, 0), context).total


def _run(project: Project, context: Context, args: Args) -> Run | None:
    return context.store.run(project.entity, project.name, text(args, "name") or "")


def _project_user(project: Project, _context: Context, _args: Args) -> Any:
    return viewers.user(project.entity)


def _nothing(_source: Any, _context: Context, _args: Args) -> None:
    return None


def _empty(_source: Any, _context: Context, args: Args) -> Any:
    return connection([], args)


PROJECT: Resolvers = {
    "id": lambda project, _c, _a: of_project(project),
    "internalId": lambda project, _c, _a: encode("ProjectInternalId", str(project.id)),
    "name": lambda project, _c, _a: project.name,
    "entityName": lambda project, _c, _a: project.entity,
    "entity": lambda project, context, _a: viewers.entity(project.entity, context.user),
    "createdAt": lambda project, _c, _a: iso(project.created_at),
    "updatedAt": lambda project, _c, _a: iso(project.created_at),
    "isBenchmark": lambda _p, _c, _a: False,
    "readOnly": lambda _p, _c, _a: False,
    "user": _project_user,
    "description": _nothing,
    "access": lambda _p, _c, _a: "PRIVATE",
    "views": _nothing,
    "runCount": _run_count,
    "runs": _runs,
    "run": _run,
    "bucket": _run,
    "allViews": _empty,
    "triggers": lambda _p, _c, _a: [],
    **IN_PROJECT,
    **sweeps.IN_PROJECT,
}
