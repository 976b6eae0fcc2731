"""The artifact half of a store in a database."""

from __future__ import annotations

from backhaul.depot.artifact import Artifact, Collection, Content, Draft, Entry, Manifest, Membership, Stray, Window
from backhaul.depot.model import Blob, Run
from backhaul.depot.store import artifacts, contents, memberships, runs, strays
from backhaul.depot.store.database import Connection, Database
from backhaul.depot.store.interface import Clock


class SqlArtifacts:
    """An `Artifacts` in the store's database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._deletions = 0

    @property
    def deletions(self) -> int:
        """See `Artifacts`."""
        return self._deletions

    def create(self, draft: Draft) -> Artifact:
        """See `Artifacts`."""
        return self._database.write(lambda c: artifacts.create(c, draft, self._clock()))

    def get(self, artifact_id: int) -> Artifact:
        """See `Artifacts`."""
        return self._database.read(lambda c: artifacts.get(c, artifact_id))

    def by_client(self, client_id: str) -> Artifact | None:
        """See `Artifacts`."""
        return self._database.read(lambda c: artifacts.by_client(c, client_id))

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
        self._database.write(
            lambda c: c.execute("INSERT INTO uses VALUES (?, ?) ON CONFLICT DO NOTHING", (run_id, artifact_id))
        )

    def commit(self, artifact_id: int, manifest_id: int, entries: list[Entry]) -> Artifact:
        """See `Artifacts`."""
        return self._database.write(lambda c: artifacts.commit(c, artifact_id, manifest_id, entries, self._clock()))

    def edit(self, artifact_id: int, description: str | None, metadata: str | None, ttl: int | None = None) -> None:
        """See `Artifacts`."""
        self._database.write(lambda c: artifacts.edit(c, artifact_id, description, metadata, ttl, self._clock()))

    def set_aliases(self, artifact: Artifact, add: list[str], remove: list[str], series: int | None = None) -> None:
        """See `Artifacts`."""
        where = artifact.collection.id if series is None else series
        self._database.write(lambda c: artifacts.set_aliases_in(c, where, artifact.id, add, remove))

    def collections(self, project_id: int) -> list[Collection]:
        """See `Artifacts`."""
        return self._database.read(lambda c: artifacts.collections(c, project_id))

    def collection(self, project_id: int, name: str) -> Collection | None:
        """See `Artifacts`."""
        return self._database.read(lambda c: artifacts.collection(c, project_id, name))

    def collection_of(self, collection_id: int) -> Collection:
        """See `Artifacts`."""
        return self._database.read(lambda c: artifacts.collection_of(c, collection_id))

    def members(self, series: Collection, window: Window | None = None) -> list[Membership]:
        """See `Artifacts`."""
        return self._database.read(lambda c: memberships.members(c, series, window))

    def count(self, series: Collection) -> int:
        """See `Artifacts`."""
        return self._database.read(lambda c: memberships.count(c, series))

    def member(self, series: Collection, alias: str) -> Membership | None:
        """See `Artifacts`."""
        return self._database.read(lambda c: memberships.member(c, series, alias))

    def memberships(self, artifact_id: int) -> list[Membership]:
        """See `Artifacts`."""
        return self._database.read(lambda c: memberships.of_artifact(c, artifact_id))

    def link(self, artifact_id: int, entity: str, project: str, name: str, aliases: list[str]) -> Membership:
        """See `Artifacts`."""

        def work(connection: Connection) -> Membership:
            now = self._clock()
            home = runs.make_project(connection, entity, project, now)
            return memberships.link(connection, artifact_id, home, name, aliases, now)

        return self._database.write(work)

    def unlink(self, artifact_id: int, collection_id: int) -> None:
        """See `Artifacts`."""
        self._database.write(lambda c: memberships.unlink(c, artifact_id, collection_id))

    def delete(self, artifact_id: int, with_aliases: bool) -> Artifact:
        """See `Artifacts`."""
        self._deletions += 1
        return self._database.write(lambda c: memberships.delete(c, artifact_id, with_aliases, self._clock()))

    def edit_collection(
        self, collection_id: int, name: str | None = None, description: str | None = None, kind: str | None = None
    ) -> Collection:
        """See `Artifacts`."""
        return self._database.write(lambda c: memberships.edit_collection(c, collection_id, name, description, kind))

    def delete_collection(self, collection_id: int) -> Collection:
        """See `Artifacts`."""
        self._deletions += 1
        return self._database.write(lambda c: memberships.delete_collection(c, collection_id, self._clock()))

    def tag(self, artifact_id: int, add: list[str], remove: list[str]) -> None:
        """See `Artifacts`."""
        self._database.write(lambda c: memberships.set_tags(c, "artifacts", artifact_id, add, remove))

    def tag_collection(self, collection_id: int, add: list[str], remove: list[str]) -> None:
        """See `Artifacts`."""
        self._database.write(lambda c: memberships.set_tags(c, "collections", collection_id, add, remove))

    def make_manifest(self, artifact_id: int, digest: str, kind: str = "FULL", base_id: int | None = None) -> Manifest:
        """See `Artifacts`."""
        return self._database.write(lambda c: contents.make_manifest(c, artifact_id, digest, kind, base_id))

    def manifest(self, manifest_id: int) -> Manifest | None:
        """See `Artifacts`."""
        return self._database.read(lambda c: contents.manifest(c, "id = ?", manifest_id))

    def current_manifest(self, artifact_id: int) -> Manifest | None:
        """See `Artifacts`."""
        return self._database.read(lambda c: contents.current_manifest(c, artifact_id))

    def manifests(self, artifact_id: int) -> list[Manifest]:
        """See `Artifacts`."""
        return self._database.read(lambda c: contents.manifests(c, artifact_id))

    def put_manifest(self, manifest_id: int, blob: Blob) -> str | None:
        """See `Artifacts`."""
        return self._database.write(lambda c: contents.put_manifest(c, manifest_id, blob))

    def content(self, project_id: int, md5: str) -> Content | None:
        """See `Artifacts`."""
        return self._database.read(lambda c: contents.content(c, project_id, md5))

    def put_content(self, project_id: int, blob: Blob, artifact_id: int) -> str | None:
        """See `Artifacts`."""
        return self._database.write(lambda c: contents.put_content(c, project_id, blob, artifact_id))

    def put_contents(self, project_id: int, blobs: list[Blob], artifact_id: int) -> list[str]:
        """See `Artifacts`."""

        def work(connection: Connection) -> list[str]:
            in_order = sorted(blobs, key=lambda blob: blob.md5)  # all who hold several rows hold them in one order
            needless = (contents.put_content(connection, project_id, blob, artifact_id) for blob in in_order)
            return [name for name in needless if name]

        return self._database.write(work)

    def rely_on(self, project_id: int, digests: list[str], artifact_id: int) -> dict[str, Content]:
        """See `Artifacts`."""
        return self._database.write(lambda c: contents.rely_on(c, project_id, digests, artifact_id))

    def abandon(self, before: float) -> None:
        """See `Artifacts`."""
        self._database.write(lambda c: strays.abandon(c, before, self._clock()))

    def drop_manifests(self) -> list[str]:
        """See `Artifacts`."""
        return self._database.write(strays.drop_manifests)

    def strays(self) -> list[Stray]:
        """See `Artifacts`."""
        return self._database.read(strays.find)

    def settle(self, stray: Stray, homes: dict[str, int]) -> list[str]:
        """See `Artifacts`."""
        return self._database.write(lambda c: strays.settle(c, stray, homes))
