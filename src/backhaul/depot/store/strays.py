"""What deleted versions leave: their manifests, and contents that no other version may need.

Each content stays with one version, its home. When that is deleted, the content gets another living version that needs
it as its home, or goes. So only contents without a living home are ever looked at.
"""

from __future__ import annotations

from backhaul.depot.artifact import Stray
from backhaul.depot.store import contents
from backhaul.depot.store.database import Connection, locked

_OF_DELETED = (
    "SELECT c.project_id, c.md5 FROM contents c JOIN artifacts a ON a.id = c.artifact_id WHERE a.deleted_at IS NOT NULL"
)
_FREE = (
    "DELETE FROM contents WHERE project_id = ? AND md5 = ?"
    " AND artifact_id IN (SELECT id FROM artifacts WHERE deleted_at IS NOT NULL) RETURNING blob"
)
# A deleted version stays committed, so that the number of these only grows.
_IN_PROJECT = " FROM artifacts a JOIN collections c ON c.id = a.collection_id WHERE c.project_id = ? AND a.committed"


def abandon(connection: Connection, before: float, now: float) -> None:
    """Deletes the versions that were begun before then and never committed."""
    connection.execute(
        "UPDATE artifacts SET deleted_at = ? WHERE NOT committed AND deleted_at IS NULL AND created_at < ?",
        (now, before),
    )


def drop_manifests(connection: Connection) -> list[str]:
    """Forgets the manifests of deleted versions; returns their blobs."""
    rows = connection.execute(
        "DELETE FROM manifests WHERE artifact_id IN (SELECT id FROM artifacts WHERE deleted_at IS NOT NULL)"
        " RETURNING blob"
    )
    return [blob for (blob,) in rows if blob]


def find(connection: Connection) -> list[Stray]:
    """The contents without a living home, by project."""
    homeless: dict[int, set[str]] = {}
    for project_id, md5 in connection.execute(_OF_DELETED):
        homeless.setdefault(project_id, set()).add(md5)
    return [_stray(connection, project_id, digests) for project_id, digests in homeless.items()]


def settle(connection: Connection, stray: Stray, homes: dict[str, int]) -> list[str]:
    """New homes for some, the end of the others; nothing when a commit came between: it may need what would go."""
    locked(connection, "projects", stray.project_id)
    if _commits(connection, stray.project_id) != stray.commits:
        return []
    still = {md5 for project_id, md5 in connection.execute(_OF_DELETED) if project_id == stray.project_id}
    freed: list[str] = []
    for md5 in sorted(stray.digests & still):
        if md5 in homes:
            contents.rely_on(connection, stray.project_id, [md5], homes[md5])
        else:  # unless an upload has come to rely on it in this moment
            freed += [blob for (blob,) in connection.execute(_FREE, (stray.project_id, md5)).fetchall()]
    return freed


def _stray(connection: Connection, project_id: int, digests: set[str]) -> Stray:
    rows = connection.execute(f"SELECT a.id{_IN_PROJECT} AND a.deleted_at IS NULL ORDER BY a.id DESC", (project_id,))
    living = tuple(artifact_id for (artifact_id,) in rows)
    return Stray(project_id, frozenset(digests), living, _commits(connection, project_id))


def _commits(connection: Connection, project_id: int) -> int:
    return int(connection.execute(f"SELECT count(*){_IN_PROJECT}", (project_id,)).fetchone()[0])
