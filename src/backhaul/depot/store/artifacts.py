"""Artifacts as rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from backhaul.depot.artifact import LATEST, Artifact, Collection, Draft, Entry
from backhaul.depot.model import Project, Run
from backhaul.depot.refusal import Refused, not_found
from backhaul.depot.store import contents, runs
from backhaul.depot.store.database import Connection, Disturbed, locked

_OF_COLLECTION = (
    "c.id, p.id, p.entity, p.name, p.created_at, c.name, c.type, c.created_at, c.portfolio, c.description, c.tags"
)
_COLLECTION = f"SELECT {_OF_COLLECTION} FROM collections c JOIN projects p ON p.id = c.project_id"


def create(connection: Connection, draft: Draft, now: float) -> Artifact:
    """A version that waits for its files; or the one that is there already under this client id or digest."""
    home = runs.make_project(connection, draft.entity, draft.project, now)
    series = _series_of(connection, home, draft, now)
    known = _known(connection, series, draft)
    if known is not None:
        if not held(connection, known.id):
            raise Disturbed
        if known.committed:
            set_aliases(connection, known, [*draft.aliases, LATEST], [])
        if draft.run_id not in (None, known.run_id):
            connection.execute("INSERT INTO logged VALUES (?, ?) ON CONFLICT DO NOTHING", (draft.run_id, known.id))
        return get(connection, known.id)
    (artifact_id,) = connection.execute(
        "INSERT INTO artifacts (collection_id, run_id, client_id, digest, description, metadata, history_step, wanted,"
        " created_at, updated_at, tags, ttl) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (series.id, draft.run_id, draft.client_id, draft.digest, draft.description, draft.metadata, draft.history_step,
         json.dumps(draft.aliases), now, now, json.dumps(draft.tags), draft.ttl),
    ).fetchone()  # fmt: skip
    return get(connection, artifact_id)


def get(connection: Connection, artifact_id: int) -> Artifact:
    """The version. Refused with 404 when there is none."""
    found = _one(connection, "a.id = ?", artifact_id)
    if found is None:
        raise not_found("artifact")
    return found


def by_client(connection: Connection, client_id: str) -> Artifact | None:
    """The version to which a client gave that id; the newest, when it sent one log into several projects."""
    return _one(connection, "a.client_id = ? ORDER BY a.id DESC", client_id)


def logged(connection: Connection, run_id: int) -> list[Artifact]:
    """The committed versions that a run brought."""
    return many(
        connection,
        "a.committed AND a.deleted_at IS NULL AND (a.run_id = ? OR a.id IN (SELECT artifact_id FROM logged"
        " WHERE run_id = ?)) ORDER BY a.id",
        run_id,
        run_id,
    )


def used(connection: Connection, run_id: int) -> list[Artifact]:
    """The versions that a run used."""
    return many(
        connection,
        "a.deleted_at IS NULL AND a.id IN (SELECT artifact_id FROM uses WHERE run_id = ?) ORDER BY a.id",
        run_id,
    )


def users(connection: Connection, artifact_id: int) -> list[Run]:
    """The runs that used a version."""
    rows = connection.execute("SELECT run_id FROM uses WHERE artifact_id = ? ORDER BY run_id", (artifact_id,))
    return runs.some(connection, [run_id for (run_id,) in rows])


def commit(connection: Connection, artifact_id: int, manifest_id: int, entries: list[Entry], now: float) -> Artifact:
    """Gives the version its number and its aliases; a second time changes nothing.

    That all bytes are here is looked up in the same transaction: nobody removes them, or brings another manifest, in
    between. Who removes bytes holds the project.
    """
    home = get(connection, artifact_id).collection
    for table, row_id in (("projects", home.project.id), ("collections", home.id), ("artifacts", artifact_id)):
        locked(connection, table, row_id)
    artifact = get(connection, artifact_id)
    if artifact.committed:
        return artifact
    if artifact.deleted:
        raise Refused("the artifact cannot be committed: it was deleted", 409)
    newest = contents.current_manifest(connection, artifact_id)
    if newest is None or newest.id != manifest_id:
        raise Refused("the artifact cannot be committed: another manifest came meanwhile; commit it again", 409)
    _need(connection, artifact.collection.project.id, entries)
    (wanted,) = connection.execute("SELECT wanted FROM artifacts WHERE id = ?", (artifact_id,)).fetchone()
    connection.execute(
        "UPDATE artifacts SET committed = TRUE, size = ?, file_count = ?, updated_at = ?, version ="
        " (SELECT coalesce(max(version), -1) + 1 FROM artifacts WHERE collection_id = ?) WHERE id = ?",
        (sum(entry.size for entry in entries), len(entries), now, artifact.collection.id, artifact_id),
    )
    set_aliases(connection, artifact, [*json.loads(wanted), LATEST], [])
    return get(connection, artifact_id)


def _need(connection: Connection, project_id: int, entries: list[Entry]) -> None:
    """Refused with 400 when the bytes of an entry are not here."""
    names = {entry.md5: entry.name for entry in entries if entry.md5}
    missing = sorted(names[md5] for md5 in contents.missing(connection, project_id, list(names)))
    if missing:
        raise Refused(f"the artifact cannot be committed: {len(missing)} of its files have not arrived: {missing[:3]}")


def edit(
    connection: Connection,
    artifact_id: int,
    description: str | None,
    metadata: str | None,
    ttl: int | None,
    now: float,
) -> None:
    """Changes what is said of a version; None leaves alone."""
    connection.execute(
        "UPDATE artifacts SET description = coalesce(?, description), metadata = coalesce(?, metadata),"
        " ttl = coalesce(?, ttl), updated_at = ? WHERE id = ?",
        (description, metadata, ttl, now, artifact_id),
    )


def set_aliases(connection: Connection, artifact: Artifact, add: list[str], remove: list[str]) -> None:
    """Moves the aliases `add` to the version and takes `remove` from it."""
    set_aliases_in(connection, artifact.collection.id, artifact.id, add, remove)


def set_aliases_in(connection: Connection, series: int, artifact_id: int, add: list[str], remove: list[str]) -> None:
    """Moves the aliases `add` of a collection to the version and takes `remove` from it.

    Refused with 404 when the version was deleted.
    """
    if not held(connection, artifact_id):
        raise not_found("artifact")
    for alias in add:
        connection.execute(
            "INSERT INTO aliases VALUES (?, ?, ?)"
            " ON CONFLICT (collection_id, alias) DO UPDATE SET artifact_id = excluded.artifact_id",
            (series, alias, artifact_id),
        )
    for alias in remove:
        connection.execute(
            "DELETE FROM aliases WHERE collection_id = ? AND alias = ? AND artifact_id = ?",
            (series, alias, artifact_id),
        )


def held(connection: Connection, artifact_id: int) -> bool:
    """Whether the version is there; nobody deletes it until the transaction ends."""
    query = f"SELECT 1 FROM artifacts WHERE id = ? AND deleted_at IS NULL{connection.dialect.locking}"
    return connection.execute(query, (artifact_id,)).fetchone() is not None


def collection_of(connection: Connection, collection_id: int) -> Collection:
    """The collection. Refused with 404 when there is none."""
    row = connection.execute(f"{_COLLECTION} WHERE c.id = ?", (collection_id,)).fetchone()
    if row is None:
        raise not_found("artifact collection")
    return _collection(row)


def collections(connection: Connection, project_id: int) -> list[Collection]:
    """The collections of a project that have a committed version, by name."""
    rows = connection.execute(
        f"{_COLLECTION} WHERE c.project_id = ?"
        " AND (c.portfolio OR EXISTS (SELECT 1 FROM artifacts a WHERE a.collection_id = c.id AND a.committed"
        " AND a.deleted_at IS NULL)) ORDER BY c.name",
        (project_id,),
    )
    return [_collection(row) for row in rows]


def collection(connection: Connection, project_id: int, name: str) -> Collection | None:
    """The collection of that name."""
    row = connection.execute(f"{_COLLECTION} WHERE c.project_id = ? AND c.name = ?", (project_id, name)).fetchone()
    return _collection(row) if row else None


def make_collection(
    connection: Connection, home: Project, name: str, kind: str, portfolio: bool, now: float
) -> Collection:
    """The collection of that name, made if it is new, and held until the transaction ends."""
    connection.execute(
        "INSERT INTO collections (project_id, name, type, created_at, portfolio) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (home.id, name, kind, now, portfolio),
    )
    query = f"SELECT id FROM collections WHERE project_id = ? AND name = ?{connection.dialect.locking}"
    row = connection.execute(query, (home.id, name)).fetchone()
    if row is None:  # it was there, and was deleted or got another name
        raise Disturbed
    return collection_of(connection, row[0])


def _series_of(connection: Connection, home: Project, draft: Draft, now: float) -> Collection:
    series = make_collection(connection, home, draft.collection, draft.type, False, now)
    if series.type != draft.type:
        raise Refused(f"artifact {series.name!r} is of the type {series.type!r}, not {draft.type!r}")
    return series


def _known(connection: Connection, series: Collection, draft: Draft) -> Artifact | None:
    # The same log may be sent into another project: there it is another version.
    same = "a.collection_id = ? AND a.client_id = ? AND a.deleted_at IS NULL"
    if draft.client_id and (known := _one(connection, same, series.id, draft.client_id)):
        return known
    condition = (
        "a.collection_id = ? AND a.committed AND a.deleted_at IS NULL AND a.digest = ? AND (? OR a.id ="
        " (SELECT l.artifact_id FROM aliases l WHERE l.collection_id = a.collection_id AND l.alias = ?))"
        " ORDER BY a.version DESC"
    )
    return _one(connection, condition, series.id, draft.digest, draft.reuse, LATEST)


def many(connection: Connection, condition: str, *values: Any) -> list[Artifact]:
    """The versions that fulfil a condition on the rows `a`, deleted ones too, in the order that it names."""
    return [_artifact(row) for row in connection.execute(f"{_select(connection)} WHERE {condition}", values)]


def _one(connection: Connection, condition: str, *values: Any) -> Artifact | None:
    row = connection.execute(f"{_select(connection)} WHERE {condition} LIMIT 1", values).fetchone()
    return _artifact(row) if row else None


def _select(connection: Connection) -> str:
    return (
        "SELECT a.id, a.run_id, a.digest, a.committed, a.version, a.description, a.metadata, a.history_step, a.size,"
        f" a.file_count, a.created_at, a.updated_at, (SELECT {connection.dialect.listed.format('l.alias')} FROM aliases"
        " l WHERE l.artifact_id = a.id AND l.collection_id = a.collection_id), a.tags, a.ttl, a.deleted_at,"
        f" {_OF_COLLECTION} FROM artifacts a JOIN collections c ON c.id = a.collection_id"
        " JOIN projects p ON p.id = c.project_id"
    )


def _collection(row: Sequence[Any]) -> Collection:
    collection_id, *project, name, kind, created_at, portfolio, description, tags = row
    labels = tuple(json.loads(tags))
    return Collection(collection_id, Project(*project), name, kind, created_at, bool(portfolio), description, labels)


def _artifact(row: tuple[Any, ...]) -> Artifact:
    (artifact_id, run_id, digest, committed, version, description, metadata, step, size, file_count, created_at,
     updated_at, names, tags, ttl, deleted_at, *series) = row  # fmt: skip
    aliases = tuple(sorted(json.loads(names)))
    return Artifact(artifact_id, _collection(series), run_id, digest, bool(committed), version, description, metadata,
                    step, size, file_count, created_at, updated_at, aliases, tuple(json.loads(tags)), ttl,
                    deleted_at is not None)  # fmt: skip
