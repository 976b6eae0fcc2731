"""Which blob is the content of which file of a run, and which blobs are the content of anything."""

from __future__ import annotations

import sqlite3

from backhaul.depot.model import Blob, StoredFile
from backhaul.depot.refusal import not_found

_COLUMNS = "name, blob, size, md5, updated_at"
_REPLACED = (
    "SELECT files.blob FROM runs LEFT JOIN files ON files.run_id = runs.id AND files.name = ?"
    " WHERE runs.id = ? AND runs.deleted_at IS NULL"
)


def put(connection: sqlite3.Connection, run_id: int, name: str, blob: Blob, now: float) -> str | None:
    """Names the blob; returns the one that it replaces. Refused with 404 when the run is gone."""
    before = connection.execute(_REPLACED, (name, run_id)).fetchone()
    if before is None:
        raise not_found("run")
    connection.execute(
        f"INSERT OR REPLACE INTO files (run_id, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",
        (run_id, name, blob.name, blob.size, blob.md5, now),
    )
    replaced: str | None = before[0]
    return replaced


def find(connection: sqlite3.Connection, run_id: int, name: str) -> StoredFile | None:
    """The file of that name, or None."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM files WHERE run_id = ? AND name = ?", (run_id, name)).fetchone()
    return StoredFile(*row) if row else None


def every(connection: sqlite3.Connection, run_id: int) -> list[StoredFile]:
    """The run's files by name."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM files WHERE run_id = ? ORDER BY name", (run_id,))
    return [StoredFile(*row) for row in rows]


def delete(connection: sqlite3.Connection, run_id: int, names: list[str]) -> list[str]:
    """Forgets those files; returns their blobs."""
    found = [file for name in names if (file := find(connection, run_id, name))]
    for file in found:
        connection.execute("DELETE FROM files WHERE run_id = ? AND name = ?", (run_id, file.name))
    return [file.blob for file in found]


def named_blobs(connection: sqlite3.Connection, start: str) -> set[str]:
    """The blobs that start with that digit and stand in any table: each keeps its blobs in a column of this name."""
    tables = connection.execute(
        "SELECT tables.name FROM sqlite_schema tables JOIN pragma_table_info(tables.name) columns"
        " WHERE tables.type = 'table' AND columns.name = 'blob'"
    ).fetchall()
    found = (
        connection.execute(f"SELECT blob FROM {table} WHERE substr(blob, 1, 1) = ?", (start,)) for (table,) in tables
    )
    return {blob for rows in found for (blob,) in rows}
