"""Projects and runs as rows."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from backhaul.depot.model import CRASHED_AFTER, Project, Run, RunEdit
from backhaul.depot.refusal import Refused, not_found
from backhaul.depot.store import petnames
from backhaul.depot.store.database import Connection, portions

_RUN_COLUMNS = (
    "runs.id, projects.id, projects.entity, projects.name, projects.created_at, runs.name, runs.display_name,"
    " runs.state, runs.config, runs.summary, runs.created_at, runs.updated_at, runs.heartbeat_at, runs.exit_code,"
    " runs.notes, runs.description, runs.tags, runs.run_group, runs.job_type, runs.host, runs.program,"
    ' runs.commit_hash, runs.repo, runs.sweep, runs."user", runs.stop_requested'
)
_RUN = f"SELECT {_RUN_COLUMNS} FROM runs JOIN projects ON projects.id = runs.project_id WHERE runs.deleted_at IS NULL"

# Which column an edit's field goes to. Everything is text; tags are a JSON list.
_COLUMN_OF = {
    "display_name": "display_name",
    "config": "config",
    "summary": "summary",
    "notes": "notes",
    "description": "description",
    "tags": "tags",
    "group": "run_group",
    "job_type": "job_type",
    "host": "host",
    "program": "program",
    "commit": "commit_hash",
    "repo": "repo",
    "sweep": "sweep",
    "state": "state",
}


def make_project(connection: Connection, entity: str, name: str, now: float) -> Project:
    """The project of that name, made if it is new."""
    if found := project(connection, entity, name):
        return found
    connection.execute(
        "INSERT INTO projects (entity, name, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (entity, name, now)
    )
    made = project(connection, entity, name)
    assert made is not None
    return made


def project(connection: Connection, entity: str, name: str) -> Project | None:
    """The project of that name, or None."""
    row = connection.execute(
        "SELECT id, entity, name, created_at FROM projects WHERE entity = ? AND name = ?", (entity, name)
    ).fetchone()
    return Project(*row) if row else None


def projects(connection: Connection, entity: str | None) -> list[Project]:
    """All projects, or those of one entity, newest first."""
    one = "" if entity is None else "WHERE entity = :entity"
    query = f"SELECT id, entity, name, created_at FROM projects {one} ORDER BY id DESC"
    rows = connection.execute(query, {"entity": entity})
    return [Project(*row) for row in rows]


def find(connection: Connection, entity: str, project: str, name: str) -> Run | None:
    """The run of that id, or None when there is none or it was deleted."""
    row = connection.execute(
        f"{_RUN} AND projects.entity = ? AND projects.name = ? AND runs.name = ?", (entity, project, name)
    ).fetchone()
    return _run(row) if row else None


def was_deleted(connection: Connection, entity: str, project: str, name: str) -> bool:
    """Whether there was a run of that id which was deleted."""
    row = connection.execute(
        "SELECT 1 FROM runs JOIN projects ON projects.id = runs.project_id WHERE runs.deleted_at IS NOT NULL"
        " AND projects.entity = ? AND projects.name = ? AND runs.name = ?",
        (entity, project, name),
    ).fetchone()
    return row is not None


def get(connection: Connection, run_id: int) -> Run:
    """The run of that row number. Refused with 404 when it is gone."""
    run = get_or_none(connection, run_id)
    if run is None:
        raise not_found("run")
    return run


def get_or_none(connection: Connection, run_id: int) -> Run | None:
    """The run of that row number, or None when it is gone."""
    row = connection.execute(f"{_RUN} AND runs.id = ?", (run_id,)).fetchone()
    return _run(row) if row else None


def every(connection: Connection, project_id: int | None, limit: int | None) -> list[Run]:
    """The runs of a project or of all, newest first."""
    home = "" if project_id is None else "AND runs.project_id = :project"
    most = "" if limit is None else "LIMIT :limit"
    rows = connection.execute(
        f"{_RUN} {home} ORDER BY runs.created_at DESC, runs.id DESC {most}", {"project": project_id, "limit": limit}
    )
    return [_run(row) for row in rows]


def some(connection: Connection, ids: list[int]) -> list[Run]:
    """The runs of those row numbers, in their order; one that is gone is left out."""
    found: dict[int, Run] = {}
    for places, piece in portions(ids):
        rows = connection.execute(f"{_RUN} AND runs.id IN ({places})", piece)
        found.update((row[0], _run(row)) for row in rows)
    return [found[run_id] for run_id in ids if run_id in found]


def open_run(
    connection: Connection, home: Project, name: str, change: RunEdit, now: float, user: str | None
) -> tuple[Run, bool]:
    """The run of that id, running, with `change` applied, and whether it is new.

    One that is about to be preempted stays so while its client tells no more than a config that changed: to open a run,
    clients say on which host they are.
    """
    query = "SELECT id, deleted_at, state, heartbeat_at FROM runs WHERE project_id = ? AND name = ?"
    row = connection.execute(query + connection.dialect.locking, (home.id, name)).fetchone()
    if row is None:
        run_id = _insert(connection, home, name, now, user)
    elif row[1] is not None:
        text = f"run {home.entity}/{home.name}/{name} was previously created and deleted; try a new run name"
        raise Refused(text)
    else:
        run_id = row[0]
    goes_on = row is not None and row[2] == "preempting" and now - row[3] <= CRASHED_AFTER and change.host is None
    state = "preempting" if goes_on else "running"
    opened = {"state": state, "exit_code": None, "heartbeat_at": now, "stop_requested": False}
    _update(connection, run_id, opened | _changed(change, now))
    return get(connection, run_id), row is None


def edit(connection: Connection, run_id: int, change: RunEdit, now: float) -> Run:
    """The run with `change` applied."""
    _update(connection, run_id, _changed(change, now))
    return get(connection, run_id)


def _changed(change: RunEdit, now: float) -> dict[str, Any]:
    """The columns that an edit changes, with their values."""
    columns = {column: getattr(change, field) for field, column in _COLUMN_OF.items()}
    values: dict[str, Any] = {column: value for column, value in columns.items() if value is not None}
    if change.tags is not None:
        values["tags"] = json.dumps(list(change.tags))
    return values | {"updated_at": now, "facets_stale": True}


def _update(connection: Connection, run_id: int, values: dict[str, Any]) -> None:
    assignments = ", ".join(f"{column} = ?" for column in values)
    connection.execute(f"UPDATE runs SET {assignments} WHERE id = ?", (*values.values(), run_id))


def set_state(connection: Connection, run_id: int, state: str, exit_code: int | None, now: float) -> None:
    """A sign of life: the heartbeat, and the state that it brings."""
    connection.execute(
        "UPDATE runs SET state = ?, exit_code = ?, heartbeat_at = ? WHERE id = ?", (state, exit_code, now, run_id)
    )


class Standing(NamedTuple):
    """What a run is in when lines arrive. `reopened_at`: see `resent`."""

    state: str
    exit_code: int | None
    reopened_at: int | None
    stop_requested: int


def standing(connection: Connection, run_id: int) -> Standing:
    """What the run is in, which nobody changes until the transaction ends. Refused with 404 when it is gone."""
    query = "SELECT state, exit_code, reopened_at_line, stop_requested FROM runs WHERE id = ? AND deleted_at IS NULL"
    row = connection.execute(query + connection.dialect.locking, (run_id,)).fetchone()
    if row is None:
        raise not_found("run")
    return Standing(*row)


def summarize(connection: Connection, run_id: int, summary: str, now: float) -> None:
    """Replaces the summary."""
    connection.execute(
        "UPDATE runs SET summary = ?, updated_at = ?, facets_stale = TRUE WHERE id = ?", (summary, now, run_id)
    )


def request_stop(connection: Connection, run_id: int) -> None:
    """Asks the run to stop."""
    connection.execute("UPDATE runs SET stop_requested = TRUE WHERE id = ?", (run_id,))


def delete(connection: Connection, run_id: int, now: float) -> list[str]:
    """Removes a run's lines and files and hides it; the row stays, so that its id is not used again.

    Returns the blobs of its files.
    """
    standing(connection, run_id)
    blobs = [blob for (blob,) in connection.execute("SELECT blob FROM files WHERE run_id = ?", (run_id,))]
    for table in ("stretches", "batches", "files", "awaited", "alerts", "facets"):
        connection.execute(f"DELETE FROM {table} WHERE run_id = ?", (run_id,))
    connection.execute("UPDATE runs SET deleted_at = ?, config = '{}', summary = '{}' WHERE id = ?", (now, run_id))
    return blobs


def _insert(connection: Connection, home: Project, name: str, now: float, user: str | None) -> int:
    # A run that an agent was told to start is its sweep's; SDK 0.13 does not always say so.
    counted = "UPDATE projects SET runs_made = runs_made + 1 WHERE id = ? RETURNING runs_made"
    (number,) = connection.execute(counted, (home.id,)).fetchone()
    (run_id,) = connection.execute(
        "INSERT INTO runs (project_id, name, display_name, state, created_at, updated_at, heartbeat_at,"
        " \"user\", sweep) VALUES (:project, :run, :shown, 'running', :now, :now, :now, :user, (SELECT s.name"
        " FROM sweeps s JOIN proposals p ON p.sweep_id = s.id WHERE s.project_id = :project AND p.run = :run))"
        " RETURNING id",
        {"project": home.id, "run": name, "shown": petnames.invent(name, number), "now": now, "user": user},
    ).fetchone()
    return int(run_id)


def _run(row: tuple[Any, ...]) -> Run:
    (run_id, project_id, entity, project_name, project_made, name, display_name, state, config, summary, created,
     updated, heartbeat, exit_code, notes, description, tags, *rest) = row  # fmt: skip
    home = Project(project_id, entity, project_name, project_made)
    return Run(run_id, home, name, display_name, state, config, summary, created, updated, heartbeat, exit_code,
               notes, description, tuple(json.loads(tags)), *rest)  # fmt: skip
