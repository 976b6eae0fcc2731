"""Sweeps: a search, agents that ask what to try next, and the runs in which they do.

An agent says every few seconds which of its runs are under way, and is told one thing: a run to start, runs to stop, or
that there is nothing left to do.
"""

from __future__ import annotations

import json
import secrets
import sys
from random import Random
from typing import Any

from backhaul.depot import rows
from backhaul.depot.graphql.artifacts import number_of
from backhaul.depot.graphql.connections import connection, page_of, window
from backhaul.depot.graphql.context import Args, Context, Resolvers, text
from backhaul.depot.graphql.filters import condition, parse_filters
from backhaul.depot.graphql.identifiers import encode
from backhaul.depot.graphql.listing import listed
from backhaul.depot.graphql.ordering import parse_order
from backhaul.depot.graphql.places import place
from backhaul.depot.graphql.times import iso
from backhaul.depot.model import Project
from backhaul.depot.refusal import Refused, not_found
from backhaul.depot.search import Space
from backhaul.depot.selection import RunPage
from backhaul.depot.sweeps import CANCELED, FINISHED, PAUSED, RUNNING, STATES, STOPPED, Agent, Sweep, SweepEdit

SWEEP_SCHEMA = """
extend type Sweep { priorRuns: RunConnection }
"""
"""What no document of a client asks for, but its test-suite of a server."""

_SILENT = 300.0  # seconds without a word after which an agent counts as gone
_LARGEST_INT = (1 << 31) - 1
_NEWEST_FIRST = parse_order("-created_at")


def _upsert(_source: Any, context: Context, args: Args) -> Any:
    """Makes a sweep, or changes the one of that `id`."""
    fields = args["input"]
    edit, identifier = _edit(fields), text(fields, "id")
    if identifier:
        sweep = context.store.sweeps.edit(_find(context, identifier).id, edit)
    elif edit.config is None:
        raise Refused("upsertSweep: a sweep needs a configuration")
    else:
        sweep = context.store.sweeps.make(*place(context, fields), edit, context.user.name)
    return {"sweep": sweep, "configValidationWarnings": []}


def _edit(fields: Args) -> SweepEdit:
    config, state = text(fields, "config"), text(fields, "state")
    space = Space(config) if config else None
    if state is not None and state not in STATES:
        raise Refused(f"invalid state of a sweep: {state}")
    return SweepEdit(
        config, state, text(fields, "displayName") or (space.name if space else None), text(fields, "description"),
        text(fields, "priorRunsFilters"),
    )  # fmt: skip


def _find(context: Context, identifier: str | None) -> Sweep:
    return context.store.sweeps.get(number_of("Sweep", identifier))


def _create_agent(_source: Any, context: Context, args: Args) -> Any:
    fields = args["input"]
    entity, project = place(context, fields)
    home = context.store.project(entity, project)
    sweep = context.store.sweeps.named(home.id, fields["sweep"]) if home else None
    if sweep is None:
        raise not_found(f"sweep {entity}/{project}/{fields['sweep']}")
    return {"agent": context.store.sweeps.make_agent(sweep.id, fields["host"])}


def _heartbeat(_source: Any, context: Context, args: Args) -> Any:
    fields = args["input"]
    agent = context.store.sweeps.agent(number_of("Agent", fields["id"]))
    context.store.sweeps.beat(agent.id)
    busy = [name for name, alive in rows.parse(text(fields, "runState") or "{}").items() if alive]
    return {"agent": agent, "commands": json.dumps(_commands(context, agent, busy))}


def _commands(context: Context, agent: Agent, busy: list[str]) -> list[dict[str, Any]]:
    state = agent.sweep.state
    if state == CANCELED and busy:
        return [{"type": "stop", "run_id": name} for name in busy]
    if busy or state == PAUSED:
        return []
    if state in (CANCELED, STOPPED, FINISHED):
        return [{"type": "exit"}]
    space = Space(agent.sweep.config)
    proposal = context.store.sweeps.propose(agent.id, space.count)
    if proposal is None:
        _finish(context, agent.sweep)
        return [{"type": "exit"}]
    point = space.point(proposal.number, Random(secrets.randbits(64)))
    # `wandb agent` starts this program, and stumbles where the command does not name any; a function needs none.
    return [{"type": "run", "run_id": proposal.run, "args": point, "program": space.program}]


def _finish(context: Context, sweep: Sweep) -> None:
    """Everything was given away; the sweep ends with the last run that is under way."""
    if _runs_of(sweep, context, (0, 0), state="running").total == 0:
        context.store.sweeps.edit(sweep.id, SweepEdit(state=FINISHED))


def _runs_of(sweep: Sweep, context: Context, part: tuple[int, int], **more: str) -> RunPage:
    """The runs of a sweep that fulfil `more`, the newest first: those of a part, by its start and its size."""
    return listed(sweep.project, condition({"sweep": sweep.name, **more}), _NEWEST_FIRST, part, context)


def _runs(sweep: Sweep, context: Context, args: Args) -> Any:
    start, size = window(args)
    found = _runs_of(sweep, context, (start, size))
    return page_of(found.runs, start, found.total)


def _prior_runs(sweep: Sweep, context: Context, args: Args) -> Any:
    filters = parse_filters(sweep.prior_runs)
    if not filters:
        return connection([], args)
    start, size = window(args)
    found = listed(sweep.project, condition(filters), _NEWEST_FIRST, (start, size), context)
    return page_of(found.runs, start, found.total)


def _best(sweep: Sweep, context: Context, _args: Args) -> float | None:
    """The best finite value of the metric that is searched for, in the runs' summaries."""
    metric = Space(sweep.config).metric
    runs = _runs_of(sweep, context, (0, sys.maxsize)).runs
    found = (rows.value_at(rows.parse(run.summary), str(metric.get("name"))) for run in runs)
    numbers = [value for value in found if rows.is_number(value)]
    best = max if metric.get("goal") == "maximize" else min
    return best(numbers, default=None)


def _expected(sweep: Sweep, _context: Context, _args: Args) -> int | None:
    """How many runs the sweep has in the end, as far as a GraphQL `Int` can tell."""
    count = Space(sweep.config).count
    return None if count is None else min(count, _LARGEST_INT)


def _agent_state(agent: Agent, context: Context, _args: Args) -> str:
    alive = context.services.clock() - agent.heartbeat_at < _SILENT and agent.sweep.state != FINISHED
    return RUNNING if alive else FINISHED


def _agent_runs(agent: Agent, context: Context, args: Args) -> Any:
    where = agent.sweep.project
    found = [context.store.run(where.entity, where.name, name) for name in agent.runs]
    return connection([run for run in found if run], args)


def _agent_named(sweep: Sweep, context: Context, args: Args) -> Agent | None:
    agents = context.store.sweeps.agents(sweep.id)
    return next((each for each in agents if _agent_name(each) == args["agentName"]), None)


def _agent_name(agent: Agent) -> str:
    return f"agent-{agent.id}"


def _of_project(project: Project, context: Context, args: Args) -> Sweep | None:
    return context.store.sweeps.named(project.id, args.get("sweepName") or "")


IN_PROJECT: Resolvers = {
    "sweep": _of_project,
    "sweeps": lambda project, context, args: connection(context.store.sweeps.every(project.id), args),
    "totalSweeps": lambda project, context, _a: len(context.store.sweeps.every(project.id)),
}
"""Sweeps as fields of a project."""

SWEEP: Resolvers = {
    "id": lambda sweep, _c, _a: encode("Sweep", str(sweep.id)),
    "name": lambda sweep, _c, _a: sweep.name,
    "displayName": lambda sweep, _c, _a: sweep.display_name,
    "description": lambda sweep, _c, _a: sweep.description,
    "method": lambda sweep, _c, _a: Space(sweep.config).method,
    "state": lambda sweep, _c, _a: sweep.state,
    "config": lambda sweep, _c, _a: sweep.config,
    "bestLoss": _best,
    "createdAt": lambda sweep, _c, _a: iso(sweep.created_at),
    "updatedAt": lambda sweep, _c, _a: iso(sweep.updated_at),
    "heartbeatAt": lambda sweep, _c, _a: iso(sweep.updated_at),
    "project": lambda sweep, _c, _a: sweep.project,
    "runCount": lambda sweep, context, _a: _runs_of(sweep, context, (0, 0)).total,
    "runCountExpected": _expected,
    "runs": _runs,
    "priorRuns": _prior_runs,
    "agents": lambda sweep, context, args: connection(context.store.sweeps.agents(sweep.id), args),
    "agent": _agent_named,
}

AGENT: Resolvers = {
    "id": lambda agent, _c, _a: encode("Agent", str(agent.id)),
    "name": lambda agent, _c, _a: _agent_name(agent),
    "host": lambda agent, _c, _a: agent.host,
    "state": _agent_state,
    "totalRuns": lambda agent, _c, _a: len(agent.runs),
    "createdAt": lambda agent, _c, _a: iso(agent.created_at),
    "heartbeatAt": lambda agent, _c, _a: iso(agent.heartbeat_at),
    "runs": _agent_runs,
}

SWEEP_MUTATIONS: Resolvers = {"upsertSweep": _upsert, "createAgent": _create_agent, "agentHeartbeat": _heartbeat}
