"""Lists of a project's runs, page by page."""

from __future__ import annotations

from backhaul.depot.graphql.context import Context
from backhaul.depot.graphql.filters import fulfils
from backhaul.depot.graphql.ordering import ordered
from backhaul.depot.model import Project
from backhaul.depot.selection import Condition, Order, RunPage, Wanted


def listed(project: Project, condition: Condition, order: Order, window: tuple[int, int], context: Context) -> RunPage:
    """The runs that fulfil the condition, of these the window's: its start and its size.

    The store tells; where it cannot, all runs of the project are looked at.
    """
    start, size = window
    known = context.selected.get(project.id)
    passing = known[1] if known and known[0] == condition else None
    wanted = Wanted(condition, order, start, size, context.services.clock(), context.services.entity, passing)
    found = context.store.select(project.id, wanted)
    if found:
        context.selected[project.id] = condition, found.passing
        return found
    every = [run for run in context.store.runs(project.id) if fulfils(run, condition, context)]
    return RunPage(len(every), ordered(every, order, context)[start : start + size])
