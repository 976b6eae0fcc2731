"""Which blob is the content of which file of a run, and which blobs are the content of anything."""

from __future__ import annotations

from backhaul.depot.model import Blob, StoredFile
from backhaul.depot.refusal import not_found
from backhaul.depot.store.database import Connection

_COLUMNS = "name, blob, size, md5, updated_at"


def put(connection: Connection, run_id: int, name: str, blob: Blob, now: float) -> str | None:
    """Names the blob; returns the one that it replaces. Refused with 404 when the run is gone."""
    hold_run(connection, run_id)
    before = find(connection, run_id, name)
    connection.execute(
        f"INSERT INTO files (run_id, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (run_id, name) DO UPDATE"
        " SET blob = excluded.blob, size = excluded.size, md5 = excluded.md5, updated_at = excluded.updated_at",
        (run_id, name, blob.name, blob.size, blob.md5, now),
    )
    return before.blob if before else None


def hold_run(connection: Connection, run_id: int) -> None:
    """Nobody deletes the run, or changes its files, until the transaction ends. Refused with 404 when it is gone."""
    if not is_held(connection, run_id):
        raise not_found("run")


def is_held(connection: Connection, run_id: int) -> bool:
    """The same; False when the run is gone."""
    query = f"SELECT 1 FROM runs WHERE id = ? AND deleted_at IS NULL{connection.dialect.locking}"
    return connection.execute(query, (run_id,)).fetchone() is not None


def find(connection: Connection, run_id: int, name: str) -> StoredFile | None:
    """The file of that name, or None."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM files WHERE run_id = ? AND name = ?", (run_id, name)).fetchone()
    return StoredFile(*row) if row else None


def every(connection: Connection, run_id: int) -> list[StoredFile]:
    """The run's files by name."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM files WHERE run_id = ? ORDER BY name", (run_id,))
    return [StoredFile(*row) for row in rows]


def delete(connection: Connection, run_id: int, names: list[str]) -> list[str]:
    """Forgets those files, and what is awaited of them; returns their blobs."""
    hold_run(connection, run_id)
    connection.executemany("DELETE FROM awaited WHERE run_id = ? AND name = ?", [(run_id, name) for name in names])
    query = "DELETE FROM files WHERE run_id = ? AND name = ? RETURNING blob"
    return [blob for name in names for (blob,) in connection.execute(query, (run_id, name)).fetchall()]


def named_blobs(connection: Connection, start: str) -> set[str]:
    """The blobs that start with that digit and stand in any table: each keeps its blobs in a column of this name."""
    tables = connection.execute(connection.dialect.columns, ("blob",)).fetchall()
    found = (
        connection.execute(f"SELECT blob FROM {table} WHERE substr(blob, 1, 1) = ?", (start,)) for (table,) in tables
    )
    return {blob for rows in found for (blob,) in rows}
