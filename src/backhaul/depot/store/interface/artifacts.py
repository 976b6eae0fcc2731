"""Artifacts, and their bytes that come in parts, as the depot asks for them."""

from __future__ import annotations

from typing import Protocol

from backhaul.depot.artifact import (
    Artifact,
    Collection,
    Content,
    Draft,
    Entry,
    Manifest,
    Membership,
    Stray,
    Upload,
    Window,
)
from backhaul.depot.model import Blob, Run


class Artifacts(Protocol):
    """Artifacts: collections of versions, their manifests, and the bytes that these name."""

    @property
    def deletions(self) -> int:
        """How often something was deleted since the store was opened: there may be bytes to free."""

    def create(self, draft: Draft) -> Artifact:
        """A version that waits for its files, its collection and project made on first use.

        The one that is there already is returned instead: under the same client id, or, when the draft allows it,
        a committed one of the collection with the same digest; the latter gets the aliases. Refused with 400 when
        the collection is of another type.
        """

    def get(self, artifact_id: int) -> Artifact:
        """The version. Refused with 404 when there is none."""

    def by_client(self, client_id: str) -> Artifact | None:
        """The version to which a client gave that id."""

    def logged(self, run_id: int) -> list[Artifact]:
        """The committed versions that a run brought."""

    def used(self, run_id: int) -> list[Artifact]:
        """The versions that a run used."""

    def users(self, artifact_id: int) -> list[Run]:
        """The runs that used a version."""

    def maker(self, artifact: Artifact) -> Run | None:
        """The run that brought the version."""

    def use(self, run_id: int, artifact_id: int) -> None:
        """Notes that a run used a version."""

    def commit(self, artifact_id: int, manifest_id: int, entries: list[Entry]) -> Artifact:
        """Gives the version its number and aliases, and shows it; a second time changes nothing.

        `entries` are those of the manifest. Refused with 400 when the bytes of an entry have not arrived, with 409 when
        another manifest came, or the version was deleted, meanwhile.
        """

    def edit(self, artifact_id: int, description: str | None, metadata: str | None, ttl: int | None = None) -> None:
        """Changes what is said of a version; None leaves alone."""

    def set_aliases(self, artifact: Artifact, add: list[str], remove: list[str], series: int | None = None) -> None:
        """Moves the aliases `add` to the version and takes `remove` from it: in its own collection, or in `series`."""

    def collection_of(self, collection_id: int) -> Collection:
        """The collection of that number."""

    def members(self, series: Collection, window: Window | None = None) -> list[Membership]:
        """The versions in a collection, newest first; with a window no others are read."""

    def count(self, series: Collection) -> int:
        """How many versions are in a collection."""

    def member(self, series: Collection, alias: str) -> Membership | None:
        """The version in a collection that goes by an alias, its number there (`v3`) or its digest."""

    def memberships(self, artifact_id: int) -> list[Membership]:
        """All collections that a version belongs to, its own first."""

    def link(self, artifact_id: int, entity: str, project: str, name: str, aliases: list[str]) -> Membership:
        """Puts a version into a portfolio, which is made on first use; doing it again only gives the aliases.

        Refused with 400 when the collection of that name is no portfolio or of another type.
        """

    def unlink(self, artifact_id: int, collection_id: int) -> None:
        """Takes a version out of a portfolio; the version stays."""

    def delete(self, artifact_id: int, with_aliases: bool) -> Artifact:
        """Hides a version for good. Refused with 409 for one that has an alias, unless `with_aliases`."""

    def edit_collection(
        self, collection_id: int, name: str | None = None, description: str | None = None, kind: str | None = None
    ) -> Collection:
        """Changes what is said of a collection; None leaves alone. Refused with 409 for a name that is in use."""

    def delete_collection(self, collection_id: int) -> Collection:
        """Removes a collection with its versions; of a portfolio only the links."""

    def tag(self, artifact_id: int, add: list[str], remove: list[str]) -> None:
        """Changes the tags of a version."""

    def tag_collection(self, collection_id: int, add: list[str], remove: list[str]) -> None:
        """Changes the tags of a collection."""

    def collections(self, project_id: int) -> list[Collection]:
        """The collections of a project that have a committed version, by name."""

    def collection(self, project_id: int, name: str) -> Collection | None:
        """The collection of that name."""

    def make_manifest(self, artifact_id: int, digest: str, kind: str = "FULL", base_id: int | None = None) -> Manifest:
        """A manifest whose bytes are still to come; `INCREMENTAL` and `PATCH` ones add to that of `base_id`.

        A version that is committed or deleted keeps the one that it has, which is returned when it has that digest;
        another one is refused with 409.
        """

    def manifest(self, manifest_id: int) -> Manifest | None:
        """The manifest of that number."""

    def current_manifest(self, artifact_id: int) -> Manifest | None:
        """The artifact's newest manifest whose bytes came."""

    def manifests(self, artifact_id: int) -> list[Manifest]:
        """The artifact's manifests whose bytes came, oldest first."""

    def put_manifest(self, manifest_id: int, blob: Blob) -> str | None:
        """The bytes of a manifest came; returns the name of the blob that they replace.

        Refused with 409 when the version was committed, or deleted, before they first came.
        """

    def content(self, project_id: int, md5: str) -> Content | None:
        """The bytes with that MD5 (hexadecimal), if some version of the project brought them."""

    def put_content(self, project_id: int, blob: Blob, artifact_id: int) -> str | None:
        """Keeps the bytes; returns the name of a blob that is not needed (they were there already)."""

    def put_contents(self, project_id: int, blobs: list[Blob], artifact_id: int) -> list[str]:
        """The same for many, at once; those that are kept already, under these very names, stay."""

    def rely_on(self, project_id: int, digests: list[str], artifact_id: int) -> dict[str, Content]:
        """Those of the bytes that are here, by MD5 (hexadecimal); they stay as long as that version, at least."""

    def abandon(self, before: float) -> None:
        """Deletes the versions that were begun before then and never committed."""

    def drop_manifests(self) -> list[str]:
        """Forgets the manifests of deleted versions; returns the names of their blobs."""

    def strays(self) -> list[Stray]:
        """Contents that deleted versions left, by project."""

    def settle(self, stray: Stray, homes: dict[str, int]) -> list[str]:
        """Gives contents a new home (version by MD5) and forgets the rest of them; returns the blobs of those.

        Nothing happens when a version of the project was committed since `stray` was read: it may need them.
        """


class Uploads(Protocol):
    """Bytes of artifacts that come in parts. Blobs that a method returns are no longer named by anything."""

    def begin(self, artifact_id: int, md5: str, parts: tuple[str, ...], expires_at: float) -> tuple[Upload, list[str]]:
        """The upload of those bytes for that version, and blobs to remove.

        One that is under way with the same parts goes on, with what it received; one with other parts ends.
        """

    def get(self, upload_id: int) -> Upload | None:
        """The upload of that number, or None when there is none, or no longer."""

    def put_part(self, upload_id: int, number: int, blob: Blob) -> str | None:
        """Keeps a part; returns the name of a blob that is not needed (the part was there already).

        Refused with 404 when the upload is over.
        """

    def finish(self, upload: Upload, project_id: int, blob: Blob) -> list[str]:
        """Keeps the whole as the project's bytes and ends the upload, both at once; returns blobs to remove."""

    def end(self, upload_id: int) -> list[str]:
        """Ends the upload without its bytes; returns blobs to remove."""

    def expire(self) -> list[str]:
        """Ends all uploads whose time is over; returns blobs to remove."""
