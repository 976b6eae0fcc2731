"""Sweeps, their agents and what these were told to try, as rows."""

from __future__ import annotations

import secrets
from typing import Any

from backhaul.depot.model import Project
from backhaul.depot.refusal import not_found
from backhaul.depot.store import runs
from backhaul.depot.store.database import Connection, locked
from backhaul.depot.sweeps import PENDING, RUNNING, Agent, Proposal, Sweep, SweepEdit

_SWEEP = """SELECT s.id, p.id, p.entity, p.name, p.created_at, s.name, s.config, s.state, s.created_at, s.updated_at,
    s.display_name, s.description, s.prior_runs, s."user" FROM sweeps s JOIN projects p ON p.id = s.project_id"""
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_ID_LENGTH = 8


def make(connection: Connection, entity: str, project: str, edit: SweepEdit, user: str | None, now: float) -> Sweep:
    """A new sweep; its project is made on first use."""
    home = runs.make_project(connection, entity, project, now)
    row = (home.id, _new_id(), edit.config or "", edit.state or PENDING, now, now, edit.display_name, edit.description,
           edit.prior_runs, user)  # fmt: skip
    (sweep_id,) = connection.execute(
        "INSERT INTO sweeps (project_id, name, config, state, created_at, updated_at, display_name, description,"
        ' prior_runs, "user") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id',
        row,
    ).fetchone()
    return get(connection, sweep_id)


def get(connection: Connection, sweep_id: int) -> Sweep:
    """The sweep of that number. Refused with 404 when there is none."""
    found = _select(connection, "s.id = ?", sweep_id)
    if not found:
        raise not_found("sweep")
    return found[0]


def named(connection: Connection, project_id: int, name: str) -> Sweep | None:
    """The project's sweep of that name."""
    return next(iter(_select(connection, "s.project_id = ? AND s.name = ?", project_id, name)), None)


def every(connection: Connection, project_id: int) -> list[Sweep]:
    """The project's sweeps, newest first."""
    return _select(connection, "s.project_id = ? ORDER BY s.id DESC", project_id)


def edit(connection: Connection, sweep_id: int, change: SweepEdit, now: float) -> Sweep:
    """The sweep as it is after the change."""
    values = (change.config, change.state, change.display_name, change.description, change.prior_runs, now, sweep_id)
    connection.execute(
        "UPDATE sweeps SET config = coalesce(?, config), state = coalesce(?, state), display_name = coalesce(?,"
        " display_name), description = coalesce(?, description), prior_runs = coalesce(?, prior_runs),"
        " updated_at = ? WHERE id = ?",
        values,
    )
    return get(connection, sweep_id)


def make_agent(connection: Connection, sweep_id: int, host: str, now: float) -> Agent:
    """A new agent of the sweep."""
    row = (sweep_id, host, now, now)
    query = "INSERT INTO agents (sweep_id, host, created_at, heartbeat_at) VALUES (?, ?, ?, ?) RETURNING id"
    (agent_id,) = connection.execute(query, row).fetchone()
    return agent(connection, agent_id)


def agent(connection: Connection, agent_id: int) -> Agent:
    """The agent of that number. Refused with 404 when there is none."""
    found = _agents(connection, "id = ?", agent_id)
    if not found:
        raise not_found("agent")
    return found[0]


def agents(connection: Connection, sweep_id: int) -> list[Agent]:
    """The sweep's agents, oldest first."""
    return _agents(connection, "sweep_id = ? ORDER BY id", sweep_id)


def beat(connection: Connection, agent_id: int, now: float) -> None:
    """The agent is alive."""
    connection.execute("UPDATE agents SET heartbeat_at = ? WHERE id = ?", (now, agent_id))


def propose(connection: Connection, agent_id: int, count: int | None, now: float) -> Proposal | None:
    """What the agent should try next; None when all `count` points were given away."""
    sweep_id = agent(connection, agent_id).sweep.id
    locked(connection, "sweeps", sweep_id)
    (number,) = connection.execute("SELECT count(*) FROM proposals WHERE sweep_id = ?", (sweep_id,)).fetchone()
    if count is not None and number >= count:
        return None
    proposal = Proposal(number, _new_id())
    connection.execute("INSERT INTO proposals VALUES (?, ?, ?, ?)", (sweep_id, number, agent_id, proposal.run))
    edit(connection, sweep_id, SweepEdit(state=RUNNING), now)
    return proposal


def _select(connection: Connection, condition: str, *values: Any) -> list[Sweep]:
    rows = connection.execute(f"{_SWEEP} WHERE {condition}", values).fetchall()
    return [Sweep(row[0], Project(*row[1:5]), *row[5:]) for row in rows]


def _agents(connection: Connection, condition: str, *values: Any) -> list[Agent]:
    rows = connection.execute(
        f"SELECT id, sweep_id, host, created_at, heartbeat_at FROM agents WHERE {condition}", values
    ).fetchall()
    return [
        Agent(agent_id, get(connection, sweep_id), host, created_at, heartbeat_at, _tried(connection, agent_id))
        for agent_id, sweep_id, host, created_at, heartbeat_at in rows
    ]


def _tried(connection: Connection, agent_id: int) -> tuple[str, ...]:
    rows = connection.execute("SELECT run FROM proposals WHERE agent_id = ? ORDER BY number", (agent_id,))
    return tuple(run for (run,) in rows)


def _new_id() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_ID_LENGTH))
