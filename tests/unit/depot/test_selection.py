"""Lists of runs: what SQL selects must be what the filters' meaning, written down in Python, selects."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from backhaul.depot.graphql.context import Context, Services
from backhaul.depot.graphql.filters import condition, fulfils
from backhaul.depot.graphql.listing import listed
from backhaul.depot.graphql.ordering import ordered, parse_order
from backhaul.depot.model import Delivery, Run, RunEdit, User
from backhaul.depot.pages.conditions import having_text, parse
from backhaul.depot.selection import Wanted
from backhaul.depot.store.opening import open_store

from ...postgres import empty_schema

_START = 1_790_000_000.0
_VALUES: list[Any] = [
    0, 1, 2.5, -3, True, False, "a", "b", "1", "", None, [], [1, "a"], ["a", None, True], {"value": 7}, {"b": {"c": 1}},
    math.nan, math.inf, 10**30, "2026-09-21T14:13:20Z", "é" * 3,
]  # fmt: skip
_FIELDS = [
    "config.x", "config.x.value", "config.x.b.c", "config.x.b", "config.never",
    "summary_metrics.x", "summary_metrics.y",
    "summary_metrics.x.b.c", "state", "createdAt", "created_at", "heartbeat_at", "tags", "group", "jobType", "name",
    "display_name", "displayName", "username", "nothing", "config.x.value.b",
]  # fmt: skip


class _Depot:
    """A store with runs of all kinds, and the context in which Python looks at them."""

    def __init__(self, database: Path | str) -> None:
        self.now = _START
        self.store = open_store(database, lambda: self.now)
        for number, value in enumerate(_VALUES):
            config = json.dumps({"x": {"value": value}, "_wandb": {"value": {"t": 1}}, "only": {"value": number}})
            tags = ("a", "b")[: number % 3] if number % 4 else ()
            group, kind = (None, "a", "b")[number % 3], (None, "1")[number % 2]
            edit = RunEdit(config=config, tags=tags, group=group, job_type=kind, display_name=f"run {number % 5}")
            run, _ = self.store.open_run("me", "p", f"r{number}", edit, user=("ann", None)[number % 2])
            summary = json.dumps({"x": _VALUES[-number], "y": number % 4})
            self.store.deliver(
                run.id, Delivery(summary=summary, complete=number % 3 == 0, preempting=number % 5 == 0)
            ).result()
            self.now += 60
        project = self.store.project("me", "p")
        assert project
        self.project = project

    @property
    def context(self) -> Context:
        """That of a request of its own."""
        services = SimpleNamespace(store=self.store, clock=lambda: self.now, entity="me")
        return Context(cast("Services", services), "", cast("User", None), ends_at=math.inf)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def depot(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Depot]:
    """A depot over each kind of database."""
    if request.param == "sqlite":
        made = _Depot(tmp_path_factory.mktemp("selection") / "depot.sqlite")
    else:
        made = _Depot(empty_schema(request.getfixturevalue("postgres_server")))
    yield made
    made.store.close()


_PATTERNS = [
    "a",
    "^r",
    "1$",
    ".",
    "",
    "n 1",
    "(?ai)A",
    "(?ai)N\\ 1",
    "(?ai)R.N",
    "(?ai)r\\.n",
    "(?i)R",
    "(?ai)_",
    "(?ai)%",
]
_operand = st.sampled_from([*_VALUES, "running", "crashed", "finished", "ann", "me", "r1"])
_comparison = st.one_of(
    _operand,
    st.dictionaries(st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]), _operand, min_size=1, max_size=2),
    st.fixed_dictionaries({}, optional={"$in": st.lists(_operand, max_size=3), "$nin": st.lists(_operand, max_size=3)}),
    st.fixed_dictionaries({"$exists": st.booleans()}),
    st.fixed_dictionaries({"$regex": st.sampled_from(_PATTERNS)}),
    st.fixed_dictionaries({"$not": st.fixed_dictionaries({"$gt": _operand})}),
)
_simple = st.dictionaries(st.sampled_from(_FIELDS), _comparison, max_size=2)
_filters = st.recursive(
    _simple,
    lambda below: st.one_of(
        st.dictionaries(st.sampled_from(["$and", "$or", "$nor"]), st.lists(below, max_size=3), max_size=2),
        st.fixed_dictionaries({"$not": below}),
    ),
    max_leaves=5,
)


_any_question = given(
    filters=_filters, field=st.sampled_from(_FIELDS), sign=st.sampled_from("+-"), start=st.integers(0, 12)
)
_some = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@_some
@_any_question
@example(filters={"config.x": {"$gt": 0}}, field="summary_metrics.x", sign="-", start=0)
@example(filters={"tags": "a", "config.x": {"$ne": None}}, field="config.x", sign="+", start=3)
@example(filters={"config.x": None}, field="state", sign="-", start=0)
@example(filters={"config.x": {"$in": [1, "a", None]}}, field="group", sign="+", start=0)
def test_every_filter_selects_the_same_runs_in_sql(
    depot: _Depot, filters: dict[str, Any], field: str, sign: str, start: int
) -> None:
    """Whatever is asked for: same runs, same order, same page, same total."""
    _assert_same_runs(depot, filters, sign + field, start)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@settings(_some, max_examples=5_000)
@_any_question
def test_thousands_of_filters_select_the_same_runs_in_sql(
    depot: _Depot, filters: dict[str, Any], field: str, sign: str, start: int
) -> None:
    """The same, for some minutes."""
    _assert_same_runs(depot, filters, sign + field, start)


def _assert_same_runs(depot: _Depot, filters: dict[str, Any], by: str, start: int) -> None:
    wanted, order = condition(filters), parse_order(by)
    passing = [run for run in depot.store.runs(depot.project.id) if fulfils(run, wanted, depot.context)]
    expected = [run.name for run in ordered(passing, order, depot.context)]
    context = depot.context
    for _ in range(2):  # the second time it is known who passes
        found = listed(depot.project, wanted, order, (start, 7), context)
        assert (found.total, [run.name for run in found.runs]) == (len(expected), expected[start : start + 7])


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"$and": [{"config.x": {"$gte": 1}}, {"state": {"$in": ["finished", "crashed"]}}]},
        {"summary_metrics.y": {"$lt": 2}, "tags": {"$in": ["a"]}, "created_at": {"$gt": "2026-09-21T14:20:00"}},
        {"$or": [{"display_name": {"$regex": "run 1"}}, {"group": "b"}, {"config.only.value": 3}]},
        having_text("Run 1"),
        parse("group ~ B"),
    ],
)
def test_the_usual_filters_are_told_by_the_store(depot: _Depot, filters: dict[str, Any]) -> None:
    """No need to look at all the runs for these."""
    order = parse_order("-summary_metrics.y")
    assert depot.store.select(depot.project.id, Wanted(condition(filters), order, 0, 5, depot.now, "me"))


def test_a_run_is_found_by_what_it_says_now(database: Path | str) -> None:
    """A new summary, config or name counts at once, and the old one no more; a deleted run is gone."""
    depot = _Depot(database)

    def names(filters: dict[str, Any]) -> list[str]:
        found = listed(depot.project, condition(filters), parse_order(None), (0, 100), depot.context)
        return [run.name for run in found.runs]

    def run() -> Run:
        found = depot.store.run("me", "p", "r3")
        assert found
        return found

    try:
        assert names({"summary_metrics.fresh": 5}) == []
        depot.store.deliver(run().id, Delivery(summary='{"fresh":5}')).result()
        assert names({"summary_metrics.fresh": 5}) == ["r3"]
        depot.store.deliver(run().id, Delivery(summary='{"fresh":6}')).result()
        assert (names({"summary_metrics.fresh": 5}), names({"summary_metrics.fresh": 6})) == ([], ["r3"])
        depot.store.edit_run(run().id, RunEdit(config='{"new":{"value":"x"}}', display_name="other"))
        assert names({"config.new": "x", "display_name": "other"}) == ["r3"]
        assert names({"config.only": 3}) == []
        depot.store.delete_run(run().id)
        assert names({"summary_metrics.fresh": 6}) == []
    finally:
        depot.store.close()
