"""Bytes that come in parts, as rows: which parts an upload has, and which of them came."""

from __future__ import annotations

import json

from backhaul.depot.artifact import Upload
from backhaul.depot.model import Blob
from backhaul.depot.refusal import not_found
from backhaul.depot.store import contents
from backhaul.depot.store.database import Connection, Database, locked
from backhaul.depot.store.interface import Clock


class SqlUploads:
    """An `Uploads` in the store's database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def begin(self, artifact_id: int, md5: str, parts: tuple[str, ...], expires_at: float) -> tuple[Upload, list[str]]:
        """See `Uploads`."""
        return self._database.write(lambda c: _begin(c, artifact_id, md5, parts, expires_at))

    def get(self, upload_id: int) -> Upload | None:
        """See `Uploads`."""
        return self._database.read(lambda c: _get(c, "id = ?", upload_id))

    def put_part(self, upload_id: int, number: int, blob: Blob) -> str | None:
        """See `Uploads`."""
        return self._database.write(lambda c: _put_part(c, upload_id, number, blob))

    def finish(self, upload: Upload, project_id: int, blob: Blob) -> list[str]:
        """See `Uploads`."""

        def work(connection: Connection) -> list[str]:
            needless = contents.put_content(connection, project_id, blob, upload.artifact_id)
            return _end(connection, upload.id) + ([needless] if needless else [])

        return self._database.write(work)

    def end(self, upload_id: int) -> list[str]:
        """See `Uploads`."""
        return self._database.write(lambda c: _end(c, upload_id))

    def expire(self) -> list[str]:
        """See `Uploads`."""
        now = self._clock()
        if not self._database.read(lambda c: _expired(c, now)):
            return []
        return self._database.write(lambda c: [blob for each in _expired(c, now) for blob in _end(c, each)])


def _begin(
    connection: Connection, artifact_id: int, md5: str, parts: tuple[str, ...], expires_at: float
) -> tuple[Upload, list[str]]:
    known = _get(connection, "artifact_id = ? AND md5 = ?", artifact_id, md5)
    if known and known.parts == parts:
        connection.execute("UPDATE uploads SET expires_at = ? WHERE id = ?", (expires_at, known.id))
        return known, []
    needless = _end(connection, known.id) if known else []
    (upload_id,) = connection.execute(
        "INSERT INTO uploads (artifact_id, md5, parts, expires_at) VALUES (?, ?, ?, ?) RETURNING id",
        (artifact_id, md5, json.dumps(parts), expires_at),
    ).fetchone()
    return Upload(upload_id, artifact_id, md5, parts, {}), needless


def _get(connection: Connection, condition: str, *values: int | str) -> Upload | None:
    row = connection.execute(f"SELECT id, artifact_id, md5, parts FROM uploads WHERE {condition}", values).fetchone()
    if row is None:
        return None
    upload_id, artifact_id, md5, parts = row
    received = connection.execute("SELECT number, blob FROM upload_parts WHERE upload_id = ?", (upload_id,))
    return Upload(upload_id, artifact_id, md5, tuple(json.loads(parts)), dict(received.fetchall()))


def _put_part(connection: Connection, upload_id: int, number: int, blob: Blob) -> str | None:
    if not locked(connection, "uploads", upload_id):
        raise not_found("upload")
    row = (upload_id, number, blob.name)
    kept = connection.execute("INSERT INTO upload_parts VALUES (?, ?, ?) ON CONFLICT DO NOTHING", row).rowcount
    return None if kept else blob.name


def _end(connection: Connection, upload_id: int) -> list[str]:
    locked(connection, "uploads", upload_id)
    parts = connection.execute("DELETE FROM upload_parts WHERE upload_id = ? RETURNING blob", (upload_id,)).fetchall()
    connection.execute("DELETE FROM uploads WHERE id = ?", (upload_id,))
    return [blob for (blob,) in parts]


def _expired(connection: Connection, now: float) -> list[int]:
    rows = connection.execute("SELECT id FROM uploads WHERE expires_at < ?", (now,))
    return [upload_id for (upload_id,) in rows]
