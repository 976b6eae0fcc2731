"""Manifests of artifacts, and the bytes that they name, as rows."""

from __future__ import annotations

from backhaul.depot.artifact import Content, Manifest
from backhaul.depot.model import Blob
from backhaul.depot.refusal import Refused
from backhaul.depot.store.database import Connection, portions


def make_manifest(connection: Connection, artifact_id: int, digest: str, kind: str, base_id: int | None) -> Manifest:
    """A manifest whose bytes are still to come.

    A version that is committed or deleted has the one that it has: another one is refused with 409.
    """
    if not _open_for_manifests(connection, artifact_id):
        kept = current_manifest(connection, artifact_id)
        if kept is None or kept.digest != digest:
            raise _settled()
        return kept
    (manifest_id,) = connection.execute(
        "INSERT INTO manifests (artifact_id, digest, kind, base_id) VALUES (?, ?, ?, ?) RETURNING id",
        (artifact_id, digest, kind, base_id),
    ).fetchone()
    return Manifest(manifest_id, artifact_id, digest, None, None, kind, base_id)


def manifest(connection: Connection, condition: str, value: int) -> Manifest | None:
    """The newest manifest that fulfils the condition."""
    row = connection.execute(
        "SELECT id, artifact_id, digest, blob, size, kind, base_id FROM manifests"
        f" WHERE {condition} ORDER BY id DESC LIMIT 1",
        (value,),
    ).fetchone()
    return Manifest(*row) if row else None


def current_manifest(connection: Connection, artifact_id: int) -> Manifest | None:
    """The artifact's newest manifest whose bytes came."""
    return manifest(connection, "blob IS NOT NULL AND artifact_id = ?", artifact_id)


def manifests(connection: Connection, artifact_id: int) -> list[Manifest]:
    """The artifact's manifests whose bytes came, oldest first."""
    rows = connection.execute(
        "SELECT id, artifact_id, digest, blob, size, kind, base_id FROM manifests"
        " WHERE artifact_id = ? AND blob IS NOT NULL ORDER BY id",
        (artifact_id,),
    )
    return [Manifest(*row) for row in rows]


def put_manifest(connection: Connection, manifest_id: int, blob: Blob) -> str | None:
    """The bytes of a manifest came; returns the blob that they replace.

    Those of a new one are refused with 409 once the version was committed: it is what was looked at then.
    """
    before = manifest(connection, "id = ?", manifest_id)
    if before and before.blob is None and not _open_for_manifests(connection, before.artifact_id):
        raise _settled()
    connection.execute("UPDATE manifests SET blob = ?, size = ? WHERE id = ?", (blob.name, blob.size, manifest_id))
    return before.blob if before and before.blob != blob.name else None


def _open_for_manifests(connection: Connection, artifact_id: int) -> bool:
    query = "SELECT 1 FROM artifacts WHERE id = ? AND NOT committed AND deleted_at IS NULL"
    return connection.execute(query + connection.dialect.locking, (artifact_id,)).fetchone() is not None


def _settled() -> Refused:
    return Refused("the artifact takes no other manifest: it is committed, or was deleted", 409)


def content(connection: Connection, project_id: int, md5: str) -> Content | None:
    """The bytes with that MD5, if some version of the project brought them."""
    row = connection.execute(
        "SELECT blob, size, artifact_id FROM contents WHERE project_id = ? AND md5 = ?", (project_id, md5)
    ).fetchone()
    return Content(*row) if row else None


def put_content(connection: Connection, project_id: int, blob: Blob, artifact_id: int) -> str | None:
    """Keeps the bytes; returns a blob that is not needed: the new one, when they were there already."""
    (kept,) = connection.execute(
        "INSERT INTO contents (project_id, md5, blob, size, artifact_id) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (project_id, md5) DO UPDATE SET artifact_id = excluded.artifact_id RETURNING blob",
        (project_id, blob.md5, blob.name, blob.size, artifact_id),
    ).fetchone()
    return None if kept == blob.name else blob.name


def rely_on(connection: Connection, project_id: int, digests: list[str], artifact_id: int) -> dict[str, Content]:
    """Those of the bytes that are here, as they were; they stay with that version from now on."""
    here: dict[str, Content] = {}
    for places, some in portions(sorted(set(digests))):  # all who hold several hold them in one order
        query = f"SELECT md5, blob, size, artifact_id FROM contents WHERE project_id = ? AND md5 IN ({places})"
        rows = connection.execute(f"{query} ORDER BY md5{connection.dialect.locking}", (project_id, *some))
        here |= {md5: Content(*rest) for md5, *rest in rows}
    connection.executemany(
        "UPDATE contents SET artifact_id = ? WHERE project_id = ? AND md5 = ?",
        [(artifact_id, project_id, md5) for md5, each in here.items() if each.birth != artifact_id],
    )
    return here


def missing(connection: Connection, project_id: int, digests: list[str]) -> set[str]:
    """Those of the digests whose bytes are not here."""
    found: set[str] = set()
    for places, some in portions(digests):
        query = f"SELECT md5 FROM contents WHERE project_id = ? AND md5 IN ({places})"
        found.update(md5 for (md5,) in connection.execute(query, (project_id, *some)))
    return set(digests) - found
