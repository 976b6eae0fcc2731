"""Which versions belong to which collection, and the collections themselves, as rows."""

from __future__ import annotations

import json
from typing import Any

from backhaul.depot import numbers
from backhaul.depot.artifact import LATEST, Artifact, Collection, Membership, Window
from backhaul.depot.model import Project
from backhaul.depot.refusal import Refused, not_found
from backhaul.depot.store import artifacts
from backhaul.depot.store.database import Connection, locked, portions

_SHOWN = "a.collection_id = ? AND a.committed AND a.deleted_at IS NULL"
_GOES_BY = (
    "(a.version = ? OR a.digest = ? OR a.id = (SELECT artifact_id FROM aliases WHERE collection_id = ? AND alias = ?))"
)
_LINKED_GOES_BY = (
    "(l.version = ? OR EXISTS (SELECT 1 FROM artifacts a WHERE a.id = l.artifact_id AND a.digest = ?)"
    " OR l.artifact_id = (SELECT artifact_id FROM aliases WHERE collection_id = ? AND alias = ?))"
)


def members(connection: Connection, series: Collection, window: Window | None = None) -> list[Membership]:
    """The versions in a collection, newest first; or those in a window, in its order."""
    return _some(connection, series, *_bounds(window, "l.version" if series.portfolio else "a.version"))


def count(connection: Connection, series: Collection) -> int:
    """How many versions are in a collection."""
    where = "links WHERE collection_id = ?" if series.portfolio else f"artifacts a WHERE {_SHOWN}"
    (found,) = connection.execute(f"SELECT count(*) FROM {where}", (series.id,)).fetchone()
    return int(found)


def member(connection: Connection, series: Collection, alias: str) -> Membership | None:
    """The version that goes by an alias, its number there (`v3`) or its digest."""
    number = numbers.whole(alias[1:]) if alias[:1] == "v" else None
    narrowed = _LINKED_GOES_BY if series.portfolio else _GOES_BY
    found = _some(connection, series, narrowed, number, alias, series.id, alias)
    tests = (
        lambda each: alias in each.aliases,
        lambda each: each.version == number,
        lambda each: each.artifact.digest == alias,
    )
    return next((each for test in tests for each in found if test(each)), None)


def _bounds(window: Window | None, number: str) -> tuple[Any, ...]:
    """A condition with what comes behind it, and its values."""
    if window is None:
        return (f"TRUE ORDER BY {number} DESC",)
    comparison, order = (">", "ASC") if window.oldest_first else ("<", "DESC")
    if window.past is None:
        return f"TRUE ORDER BY {number} {order} LIMIT ?", window.most
    return f"{number} {comparison} ? ORDER BY {number} {order} LIMIT ?", window.past, window.most


def _some(connection: Connection, series: Collection, narrowed: str, *values: Any) -> list[Membership]:
    if series.portfolio:
        return _linked(connection, series, narrowed, *values)
    found = map(_own, artifacts.many(connection, f"{_SHOWN} AND {narrowed}", series.id, *values))
    return [membership for membership in found if membership]


def _linked(connection: Connection, series: Collection, narrowed: str, *values: Any) -> list[Membership]:
    query = f"SELECT artifact_id, version, created_at FROM links l WHERE collection_id = ? AND {narrowed}"
    links = connection.execute(query, (series.id, *values)).fetchall()
    found: dict[int, Artifact] = {}
    names: dict[int, list[str]] = {}
    for places, ids in portions([artifact_id for artifact_id, _, _ in links]):
        found |= {artifact.id: artifact for artifact in artifacts.many(connection, f"a.id IN ({places})", *ids)}
        query = f"SELECT artifact_id, alias FROM aliases WHERE collection_id = ? AND artifact_id IN ({places})"
        for artifact_id, alias in connection.execute(f"{query} ORDER BY alias", (series.id, *ids)):
            names.setdefault(artifact_id, []).append(alias)
    return [
        Membership(series, found[artifact_id], version, made, tuple(names.get(artifact_id, ())))
        for artifact_id, version, made in links
    ]


def _own(artifact: Artifact) -> Membership | None:
    """That a version belongs to the collection under which it was logged."""
    if artifact.version is None:
        return None
    return Membership(artifact.collection, artifact, artifact.version, artifact.created_at, artifact.aliases)


def of_artifact(connection: Connection, artifact_id: int) -> list[Membership]:
    """All collections that a version belongs to, its own first."""
    artifact = artifacts.get(connection, artifact_id)
    query = "SELECT collection_id FROM links WHERE artifact_id = ? ORDER BY id"
    series = [collection_id for (collection_id,) in connection.execute(query, (artifact_id,)).fetchall()]
    links = [_link(connection, artifacts.collection_of(connection, each), artifact) for each in series]
    return [each for each in (_own(artifact), *links) if each]


def link(
    connection: Connection, artifact_id: int, home: Project, name: str, aliases: list[str], now: float
) -> Membership:
    """Puts a version into a portfolio, made on first use; one that is there already only gets the aliases.

    Refused with 404 when the version was deleted.
    """
    artifact = artifacts.get(connection, artifact_id)
    series = _portfolio(connection, home, name, artifact.collection.type, now)
    if not artifacts.held(connection, artifact_id):
        raise not_found("artifact")
    connection.execute(
        "INSERT INTO links (collection_id, artifact_id, version, created_at) SELECT :series, :artifact,"
        " (SELECT coalesce(max(version), -1) + 1 FROM links WHERE collection_id = :series), :now"
        " ON CONFLICT DO NOTHING",
        {"series": series.id, "artifact": artifact_id, "now": now},
    )
    artifacts.set_aliases_in(connection, series.id, artifact_id, [*aliases, LATEST], [])
    return _link(connection, series, artifact)


def unlink(connection: Connection, artifact_id: int, collection_id: int) -> None:
    """Takes a version out of a portfolio; the version itself stays, and so does all in the collection of its own."""
    place = (collection_id, artifact_id)
    if connection.execute("DELETE FROM links WHERE collection_id = ? AND artifact_id = ?", place).rowcount:
        connection.execute("DELETE FROM aliases WHERE collection_id = ? AND artifact_id = ?", place)


def delete(connection: Connection, artifact_id: int, with_aliases: bool, now: float) -> Artifact:
    """Hides a version and takes it out of every portfolio. Refused with 409 for one that still has an alias."""
    locked(connection, "artifacts", artifact_id)
    artifact = artifacts.get(connection, artifact_id)
    if artifact.aliases and not with_aliases:
        raise Refused(f"cannot delete an artifact that has aliases: {', '.join(artifact.aliases)}", 409)
    connection.execute("DELETE FROM links WHERE artifact_id = ?", (artifact_id,))
    connection.execute("DELETE FROM aliases WHERE artifact_id = ?", (artifact_id,))
    connection.execute("UPDATE artifacts SET deleted_at = ? WHERE id = ?", (now, artifact_id))
    return artifacts.get(connection, artifact_id)


def edit_collection(
    connection: Connection, collection_id: int, name: str | None, description: str | None, kind: str | None
) -> Collection:
    """Changes a collection's name, description or type; None leaves alone. Refused with 409 for a name in use."""
    home = artifacts.collection_of(connection, collection_id).project
    known = artifacts.collection(connection, home.id, name) if name is not None else None
    if known is not None and known.id != collection_id:
        raise Refused(f"the project has a collection {name!r} already", 409)
    connection.execute(
        "UPDATE collections SET name = coalesce(?, name), description = coalesce(?, description),"
        " type = coalesce(?, type) WHERE id = ?",
        (name, description, kind, collection_id),
    )
    return artifacts.collection_of(connection, collection_id)


def delete_collection(connection: Connection, collection_id: int, now: float) -> Collection:
    """Removes a collection with its versions or links. Its row goes, or hides under a name that none can have."""
    locked(connection, "collections", collection_id)
    series = artifacts.collection_of(connection, collection_id)
    for each in members(connection, series):
        if series.portfolio:
            unlink(connection, each.artifact.id, series.id)
        else:
            delete(connection, each.artifact.id, True, now)
    pending = "UPDATE artifacts SET deleted_at = ? WHERE collection_id = ? AND NOT committed AND deleted_at IS NULL"
    connection.execute(pending, (now, collection_id))
    hidden = f"/deleted/{collection_id}"  # no client can give a name with a slash
    connection.execute("UPDATE collections SET name = ?, portfolio = FALSE WHERE id = ?", (hidden, collection_id))
    return series


def set_tags(connection: Connection, table: str, row_id: int, add: list[str], remove: list[str]) -> None:
    """Changes the tags of a version (`artifacts`) or a collection (`collections`)."""
    query = f"SELECT tags FROM {table} WHERE id = ?{connection.dialect.locking}"
    row = connection.execute(query, (row_id,)).fetchone()
    kept = [tag for tag in json.loads(row[0]) if tag not in remove] if row else []
    tags = [*kept, *(tag for tag in dict.fromkeys(add) if tag not in kept)]
    connection.execute(f"UPDATE {table} SET tags = ? WHERE id = ?", (json.dumps(tags), row_id))


def _link(connection: Connection, series: Collection, artifact: Artifact) -> Membership:
    place = (series.id, artifact.id)
    query = "SELECT alias FROM aliases WHERE collection_id = ? AND artifact_id = ? ORDER BY alias"
    aliases = tuple(alias for (alias,) in connection.execute(query, place))
    query = "SELECT version, created_at FROM links WHERE collection_id = ? AND artifact_id = ?"
    version, made = connection.execute(query, place).fetchone()
    return Membership(series, artifact, version, made, aliases)


def _portfolio(connection: Connection, home: Project, name: str, kind: str, now: float) -> Collection:
    series = artifacts.make_collection(connection, home, name, kind, True, now)
    if not series.portfolio or series.type != kind:
        what = f"a collection of the type {series.type!r}" if series.portfolio else "not a portfolio"
        raise Refused(f"cannot link to {name!r}: it is {what}")
    return series
