"""The artifact half of the store on one machine."""

from __future__ import annotations

from backhaul.depot.artifact import Artifact, Collection, Content, Draft, Manifest
from backhaul.depot.model import Blob, Run
from backhaul.depot.store import artifacts, runs
from backhaul.depot.store.database import Database
from backhaul.depot.store.interface import Clock


class SqliteArtifacts:
    """An `Artifacts` in the store's database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(self, draft: Draft) -> Artifact:
        """See `Artifacts`."""
        return self._database.write(lambda c: artifacts.create(c, draft, self._clock()))

    def get(self, artifact_id: int) -> Artifact:
        """See `Artifacts`."""
        return self._database.read(lambda c: artifacts.get(c, artifact_id))

    def by_client(self, client_id: str) -> Artifact | None:
        """See `Artifacts`."""
        return self._database.read(lambda c: artifacts.by_client(c, client_id))

    def find(self, series: Collection, alias: str) -> Artifact | None:
        """See `Artifacts`."""
        return self._database.read(lambda c: artifacts.find(c, series, alias))

    def versions(self, series: Collection) -> list[Artifact]:
        """See `Artifacts`."""
        return self._database.read(lambda c: artifacts.versions(c, series.id))

    def logged(self, run_id: int) -> list[Artifact]:
        """See `Artifacts`."""
        return self._database.read(lambda c: artifacts.logged(c, run_id))

    def used(self, run_id: int) -> list[Artifact]:
        """See `Artifacts`."""
        return self._database.read(lambda c: artifacts.used(c, run_id))

    def users(self, artifact_id: int) -> list[Run]:
        """See `Artifacts`."""

        return self._database.read(lambda c: artifacts.users(c, artifact_id))

    def maker(self, artifact: Artifact) -> Run | None:
        """See `Artifacts`."""
        run_id = artifact.run_id
        return None if run_id is None else self._database.read(lambda c: runs.get_or_none(c, run_id))

    def use(self, run_id: int, artifact_id: int) -> None:
        """See `Artifacts`."""
        self._database.write(lambda c: c.execute("INSERT OR IGNORE INTO uses VALUES (?, ?)", (run_id, artifact_id)))

    def commit(self, artifact_id: int, size: int, file_count: int) -> Artifact:
        """See `Artifacts`."""
        return self._database.write(lambda c: artifacts.commit(c, artifact_id, size, file_count, self._clock()))

    def edit(self, artifact_id: int, description: str | None, metadata: str | None) -> None:
        """See `Artifacts`."""
        self._database.write(lambda c: artifacts.edit(c, artifact_id, description, metadata, self._clock()))

    def set_aliases(self, artifact: Artifact, add: list[str], remove: list[str]) -> None:
        """See `Artifacts`."""
        self._database.write(lambda c: artifacts.set_aliases(c, artifact, add, remove))

    def collections(self, project_id: int) -> list[Collection]:
        """See `Artifacts`."""
        return self._database.read(lambda c: artifacts.collections(c, project_id))

    def collection(self, project_id: int, name: str) -> Collection | None:
        """See `Artifacts`."""
        return self._database.read(lambda c: artifacts.collection(c, project_id, name))

    def make_manifest(self, artifact_id: int, digest: str) -> Manifest:
        """See `Artifacts`."""
        return self._database.write(lambda c: artifacts.make_manifest(c, artifact_id, digest))

    def manifest(self, manifest_id: int) -> Manifest | None:
        """See `Artifacts`."""
        return self._database.read(lambda c: artifacts.manifest(c, "id = ?", manifest_id))

    def current_manifest(self, artifact_id: int) -> Manifest | None:
        """See `Artifacts`."""
        return self._database.read(lambda c: artifacts.manifest(c, "blob IS NOT NULL AND artifact_id = ?", artifact_id))

    def put_manifest(self, manifest_id: int, blob: Blob) -> None:
        """See `Artifacts`."""
        row = (blob.name, blob.size, manifest_id)
        self._database.write(lambda c: c.execute("UPDATE manifests SET blob = ?, size = ? WHERE id = ?", row))

    def content(self, project_id: int, md5: str) -> Content | None:
        """See `Artifacts`."""
        return self._database.read(lambda c: artifacts.content(c, project_id, md5))

    def put_content(self, project_id: int, blob: Blob, artifact_id: int) -> str | None:
        """See `Artifacts`."""
        return self._database.write(lambda c: artifacts.put_content(c, project_id, blob, artifact_id))
