"""The runs of a project: found, sorted, with the columns that are wanted, page by page. All of it is in the address."""

from __future__ import annotations

from typing import Any

from backhaul.depot.graphql.fields import value_of
from backhaul.depot.graphql.filters import Filters, condition
from backhaul.depot.graphql.listing import listed
from backhaul.depot.graphql.ordering import parse_order
from backhaul.depot.model import Run
from backhaul.depot.pages import conditions, heading, places
from backhaul.depot.pages.choices import ALWAYS, Choices
from backhaul.depot.pages.visit import Visit
from backhaul.depot.refusal import Refused

STATES = ("running", "finished", "failed", "crashed", "killed", "preempting", "preempted")
_PAGE = 50
_LOOKED_THROUGH = 100  # runs whose keys are offered as columns
_MOST_COLUMNS = 40


def view(visit: Visit) -> dict[str, Any]:
    """One page of the runs that pass, in their order."""
    project = visit.project()
    filters, wrong = _filters(visit)
    order = _order(visit.text("sort") or "-created_at")
    passing, by = condition(filters), parse_order(order)
    page = visit.number("page", 1, 1)
    found = listed(project, passing, by, ((page - 1) * _PAGE, _PAGE), visit.context)
    pages = max(1, -(-found.total // _PAGE))
    if page > pages:  # runs went, or an address was written by hand
        page = pages
        found = listed(project, passing, by, ((page - 1) * _PAGE, _PAGE), visit.context)
    choices = Choices(visit.store.runs(project.id, limit=_LOOKED_THROUGH))
    columns = _columns(visit, choices)
    return {
        "title": project.name,
        "entity": project.entity,
        "project": project.name,
        "path": places.of_project(project),
        "address": visit.base,
        "query": {"q": visit.text("q"), "where": visit.texts("where"), "state": visit.texts("state"), "sort": order},
        "wrong": wrong,
        "states": list(STATES),
        "columns": [_column(field) for field in (*ALWAYS, *columns)],
        "choices": [_column(field) for field in dict.fromkeys((*choices.offered, *columns))],
        "runs": [_row(visit, run, columns) for run in found.runs],
        "total": found.total,
        "page": page,
        "pages": pages,
    }


def _filters(visit: Visit) -> tuple[Filters, list[str]]:
    """What runs must fulfil, and what is wrong with those conditions that are none."""
    parts: list[Filters] = [conditions.having_text(visit.text("q"))]
    wrong: list[str] = []
    for text in visit.texts("where"):
        try:
            parts.append(conditions.parse(text))
        except Refused as refused:
            wrong.append(refused.message)
    states = [state for state in visit.texts("state") if state in STATES]
    parts.append({"state": {"$in": states}} if states else {})
    return {"$and": [part for part in parts if part]}, wrong


def _order(text: str) -> str:
    """`+field` or `-field`, the field as orders name it."""
    return ("-" if text.startswith("-") else "+") + conditions.field_of(text.lstrip("+- "))


def _columns(visit: Visit, choices: Choices) -> list[str]:
    """The columns beside those that are always there."""
    if "col" not in visit.request.query_params:
        return choices.at_first
    chosen = dict.fromkeys(conditions.field_of(key) for key in visit.texts("col"))
    return [field for field in chosen if field not in ALWAYS][:_MOST_COLUMNS]


def _column(field: str) -> dict[str, str]:
    return {"field": field, "label": conditions.label_of(field), "kind": conditions.kind_of(field)}


def _row(visit: Visit, run: Run, columns: list[str]) -> dict[str, Any]:
    values = {field: value_of(run, field, visit.context) for field in columns}
    step = value_of(run, "summary_metrics._step", visit.context)
    return heading.of_run(visit, run) | {"step": step, "values": values}
