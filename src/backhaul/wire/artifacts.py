"""Artifacts on a W&B server: one method a step of their upload. Nothing is tried twice here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backhaul.errors import UnexpectedAnswer
from backhaul.wire import artifact_documents as documents
from backhaul.wire.graphql import GraphQL
from backhaul.wire.reading import absolute, upload_headers
from backhaul.wire.remote import RunAddress, UploadTarget
from backhaul.wire.shape import Node


@dataclass(frozen=True)
class CreatedArtifact:
    """An artifact on the server. `state` is PENDING until its commit; `latest_id` the newest version before it."""

    id: str
    state: str
    latest_id: str | None


@dataclass(frozen=True)
class RemoteArtifact:
    """An artifact as it is read back: `state` COMMITTED or not, and `digest` of its manifest, hex."""

    state: str
    digest: str


@dataclass(frozen=True)
class ArtifactFileTarget:
    """Where one file of an artifact goes; `target` None: the server has it.

    `birth_artifact_id` belongs into the manifest. For a file in parts `parts` are the addresses in order, with
    `upload_id` and `storage_path` for the completion.
    """

    birth_artifact_id: str
    target: UploadTarget | None
    storage_path: str = ""
    upload_id: str = ""
    parts: tuple[UploadTarget, ...] = field(default=(), repr=False)


class ArtifactDoor:
    """The artifact operations of one server, whose addresses may begin at its `base_url` (without a last slash)."""

    def __init__(self, graphql: GraphQL, base_url: str) -> None:
        self._graphql = graphql
        self._base_url = base_url

    async def create(self, wanted: Mapping[str, Any]) -> CreatedArtifact:
        """Create an artifact, or find the one with the same content; `wanted` is the CreateArtifactInput."""
        doing = f"Creating the artifact {wanted['artifactCollectionName']}"
        data = await self._graphql.ask(documents.CREATE_ARTIFACT, {"input": dict(wanted)}, doing)
        artifact = data.node("createArtifact").node("artifact")
        sequence = artifact.node_or_none("artifactSequence")
        latest = sequence.node_or_none("latestArtifact") if sequence is not None else None
        return CreatedArtifact(artifact.text("id"), artifact.text("state"), latest.text("id") if latest else None)

    async def create_manifest(
        self, address: RunAddress, artifact_id: str, base_id: str | None, name: str, kind: str, digest: str
    ) -> tuple[str, UploadTarget | None]:
        """Announce a manifest; with its `digest` (base64 MD5) the answer says where to PUT it, without it does not."""
        variables = {
            "artifactID": artifact_id,
            "baseArtifactID": base_id,
            "name": name,
            "digest": digest,
            "entityName": address.entity,
            "projectName": address.project,
            "runName": address.run_id,
            "manifestType": kind,
            "includeUpload": bool(digest),
        }
        doing = "Announcing an artifact's manifest"
        data = await self._graphql.ask(documents.CREATE_ARTIFACT_MANIFEST, variables, doing)
        return self._manifest(data.node("createArtifactManifest"), name)

    async def update_manifest(
        self, manifest_id: str, base_id: str | None, name: str, digest: str
    ) -> tuple[str, UploadTarget | None]:
        """Give an incremental or distributed manifest its digest; the answer says where to PUT it."""
        variables = {
            "artifactManifestID": manifest_id,
            "digest": digest,
            "baseArtifactID": base_id,
            "includeUpload": True,
        }
        doing = "Announcing an artifact's manifest"
        data = await self._graphql.ask(documents.UPDATE_ARTIFACT_MANIFEST, variables, doing)
        return self._manifest(data.node("updateArtifactManifest"), name)

    async def create_files(self, files: Sequence[Mapping[str, Any]]) -> list[ArtifactFileTarget]:
        """Where each file (a CreateArtifactFileSpecInput) goes, in the same order."""
        doing = "Asking where to upload files of an artifact"
        variables = {"artifactFiles": [dict(file) for file in files], "storageLayout": "V2"}
        data = await self._graphql.ask(documents.CREATE_ARTIFACT_FILES, variables, doing)
        edges = data.node("createArtifactFiles").node("files").nodes("edges")
        if len(edges) != len(files):
            raise UnexpectedAnswer(f"{doing} failed: {len(files)} were asked about, {len(edges)} answered")
        return [
            self._file_target(edge.node("node"), str(file["name"])) for edge, file in zip(edges, files, strict=True)
        ]

    async def complete_parts(self, artifact_id: str, file: ArtifactFileTarget, etags: Sequence[str]) -> None:
        """Put the parts of a file together; `etags` are the store's answers to the parts, as they came."""
        variables = {
            "completeMultipartAction": "Complete",
            "completedParts": [{"partNumber": number, "hexMD5": etag} for number, etag in enumerate(etags, start=1)],
            "artifactID": artifact_id,
            "storagePath": file.storage_path,
            "uploadID": file.upload_id,
        }
        doing = "Putting the parts of an artifact's file together"
        await self._graphql.ask(documents.COMPLETE_MULTIPART_UPLOAD, variables, doing)

    async def commit(self, artifact_id: str) -> None:
        """Make an artifact visible; committing twice changes nothing."""
        await self._graphql.ask(documents.COMMIT_ARTIFACT, {"artifactID": artifact_id}, "Committing an artifact")

    async def use(self, address: RunAddress, artifact_id: str) -> None:
        """Note that the run used an artifact."""
        wanted = {
            "artifactID": artifact_id,
            "entityName": address.entity,
            "projectName": address.project,
            "runName": address.run_id,
            "usedAs": None,
            "clientMutationId": None,
        }
        await self._graphql.ask(documents.USE_ARTIFACT, {"input": wanted}, "Noting that an artifact was used")

    async def server_id(self, client_id: str) -> str | None:
        """The server's id of an artifact that a client named by an id of its own; None when it knows none."""
        doing = "Asking for an artifact's id"
        data = await self._graphql.ask(documents.CLIENT_ID_MAPPING, {"clientID": client_id}, doing)
        mapping = data.node_or_none("clientIDMapping")
        return mapping.text("serverID") if mapping is not None else None

    async def read(self, artifact_id: str) -> RemoteArtifact | None:
        """The artifact as the server holds it; None when it does not."""
        data = await self._graphql.ask(documents.ARTIFACT_BY_ID, {"id": artifact_id}, "Reading an artifact")
        artifact = data.node_or_none("artifact")
        if artifact is None:
            return None
        return RemoteArtifact(artifact.text("state"), artifact.text_or("digest"))

    async def project_of(self, artifact_id: str) -> str | None:
        """The `entity/project` that an artifact is in; None when the server does not say."""
        doing = "Asking for an artifact's project"
        node: Node | None = await self._graphql.ask(documents.ARTIFACT_PROJECT, {"id": artifact_id}, doing)
        for name in ("artifact", "artifactSequence", "project"):
            node = node.node_or_none(name) if node is not None else None
        entity = node.node_or_none("entity") if node is not None else None
        return f"{entity.text('name')}/{node.text('name')}" if node is not None and entity is not None else None

    def _manifest(self, answer: Node, name: str) -> tuple[str, UploadTarget | None]:
        manifest = answer.node("artifactManifest")
        file = manifest.node_or_none("file")
        url = file.text_or("uploadUrl") if file is not None else ""
        headers = upload_headers(file.texts("uploadHeaders")) if file is not None and url else {}
        return manifest.text("id"), self._target(name, url, headers) if url else None

    def _file_target(self, node: Node, name: str) -> ArtifactFileTarget:
        artifact = node.node_or_none("artifact")
        birth = artifact.text("id") if artifact is not None else ""
        url = node.text_or("uploadUrl")
        headers = upload_headers(node.texts("uploadHeaders"))
        target = self._target(name, url, headers) if url else None
        multipart = node.node_or_none("uploadMultipartUrls")
        if multipart is None or target is None:
            return ArtifactFileTarget(birth, target)
        parts = sorted(multipart.nodes("uploadUrlParts"), key=lambda part: part.count("partNumber"))
        kept = {key: value for key, value in headers.items() if key.lower() == "content-type"}
        targets = tuple(self._target(name, part.text("uploadUrl"), kept) for part in parts)
        return ArtifactFileTarget(birth, target, node.text_or("storagePath"), multipart.text("uploadID"), targets)

    def _target(self, name: str, url: str, headers: Mapping[str, str]) -> UploadTarget:
        return UploadTarget(name, absolute(url, self._base_url), headers)
