"""Versions of artifacts as clients read them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from backhaul.depot import numbers
from backhaul.depot.addresses import ContentTarget, ManifestTarget
from backhaul.depot.artifact import Artifact, Entry, Membership
from backhaul.depot.graphql import viewers
from backhaul.depot.graphql.connections import connection
from backhaul.depot.graphql.context import Args, Context, Resolvers
from backhaul.depot.graphql.files import made_file
from backhaul.depot.graphql.identifiers import decode, encode
from backhaul.depot.graphql.times import iso
from backhaul.depot.model import Project
from backhaul.depot.refusal import not_found

_NO_TIME_TO_LIVE = -2


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of artifacts in a project."""

    project: Project
    name: str


def alias_nodes(membership: Membership, numbered: bool = True) -> list[dict[str, Any]]:
    """The aliases of a version in a collection; the number is one of them (`v3`), and old clients read it from here."""
    series = membership.collection
    number = (f"v{membership.version}",) if numbered else ()
    return [
        {
            "id": encode("ArtifactAlias", str(series.id), alias),
            "alias": alias,
            "artifactCollectionName": series.name,
            "artifactCollection": series,
        }
        for alias in (*membership.aliases, *number)
    ]


def tag_node(name: str) -> dict[str, Any]:
    """A tag; all tags of one name are one."""
    return {"id": encode("Tag", name), "name": name, "tagCategoryName": None, "attributes": None}


def artifact_id(artifact: Artifact) -> str:
    """The id of a version: base64 of plain text, which clients turn into hexadecimal for references."""
    return encode("Artifact", str(artifact.id))


def find_artifact(context: Context, identifier: str | None) -> Artifact:
    """The version of that id. Refused with 404 when there is none."""
    return context.store.artifacts.get(number_of("Artifact", identifier))


def number_of(kind: str, identifier: str | None) -> int:
    """The number in an id of that kind. Refused with 404 when it is none."""
    parts = decode(identifier or "")
    number = numbers.whole(parts[1]) if len(parts) == 2 and parts[0] == kind else None
    if number is None:
        raise not_found(f"{kind} with the id {identifier!r}")
    return number


def artifact_files(artifact: Artifact, context: Context, args: Args) -> Any:
    """All entries. A reference has the address that it refers to, which clients resolve themselves."""
    manifest = context.store.artifacts.current_manifest(artifact.id)
    names = set(args.get("names") or ())
    entries = [entry for entry in context.services.manifests.entries(manifest) if not names or entry.name in names]
    return connection(entries, args, lambda entry: _file(artifact, entry, context))


def _file(artifact: Artifact, entry: Entry, context: Context) -> dict[str, Any]:
    md5 = entry.md5 or ""
    digest = base64.b64encode(bytes.fromhex(md5)).decode()
    target = ContentTarget(artifact.collection.project.id, artifact.id, md5)
    address = entry.reference or context.address("GET", target)
    return made_file(
        encode("ArtifactFile", str(artifact.id), entry.name),
        entry.name,
        url=address,
        directUrl=address,
        sizeBytes=entry.size,
        md5=digest,
        digest=digest,
        updatedAt=iso(artifact.updated_at),
        storagePath=entry.name if entry.reference else target.storage_path.lstrip("/"),
        artifact=artifact,
    )


def _by_entries(artifact: Artifact, context: Context, args: Args) -> Any:
    names = [entry["name"] for entry in args.get("entries") or ()]
    return artifact_files(artifact, context, {"names": names} if names else {})


def _current_manifest(artifact: Artifact, context: Context, _args: Args) -> Any:
    manifest = context.store.artifacts.current_manifest(artifact.id)
    if manifest is None:
        return None
    address = context.address("GET", ManifestTarget(manifest.id))
    file = made_file(
        encode("ManifestFile", str(manifest.id)),
        "wandb_manifest.json",
        directUrl=address,
        url=address,
        sizeBytes=manifest.size or 0,
        md5=manifest.digest,
        digest=manifest.digest,
    )
    return {"id": encode("ArtifactManifest", str(manifest.id)), "digest": manifest.digest, "file": file}


def _created_by(artifact: Artifact, context: Context, _args: Args) -> Any:
    return context.store.artifacts.maker(artifact) or viewers.viewer(context)


def _aliases(artifact: Artifact, context: Context, _args: Args) -> Any:
    return [node for each in context.store.artifacts.memberships(artifact.id) for node in alias_nodes(each)]


def _memberships(artifact: Artifact, context: Context, args: Args) -> Any:
    return connection(context.store.artifacts.memberships(artifact.id), args)


def _state(artifact: Artifact, _context: Context, _args: Args) -> str:
    return "DELETED" if artifact.deleted else "COMMITTED" if artifact.committed else "PENDING"


ARTIFACT: Resolvers = {
    "id": lambda artifact, _c, _a: artifact_id(artifact),
    "digest": lambda artifact, _c, _a: artifact.digest,
    "digestAlgorithm": lambda _x, _c, _a: "MANIFEST_MD5",
    "state": _state,
    "versionIndex": lambda artifact, _c, _a: artifact.version,
    "artifactSequence": lambda artifact, _c, _a: artifact.collection,
    "artifactType": lambda artifact, _c, _a: Kind(artifact.collection.project, artifact.collection.type),
    "description": lambda artifact, _c, _a: artifact.description,
    "metadata": lambda artifact, _c, _a: artifact.metadata,
    "ttlDurationSeconds": lambda artifact, _c, _a: _NO_TIME_TO_LIVE if artifact.ttl is None else artifact.ttl,
    "ttlIsInherited": lambda artifact, _c, _a: artifact.ttl is None,
    "tags": lambda artifact, _c, _a: [tag_node(tag) for tag in artifact.tags],
    "historyStep": lambda artifact, _c, _a: artifact.history_step,
    "size": lambda artifact, _c, _a: artifact.size,
    "fileCount": lambda artifact, _c, _a: artifact.file_count,
    "commitHash": lambda artifact, _c, _a: artifact.digest,
    "createdAt": lambda artifact, _c, _a: iso(artifact.created_at),
    "updatedAt": lambda artifact, _c, _a: iso(artifact.updated_at),
    "aliases": _aliases,
    "currentManifest": _current_manifest,
    "createdBy": _created_by,
    "usedBy": lambda artifact, context, args: connection(context.store.artifacts.users(artifact.id), args),
    "files": artifact_files,
    "filesByManifestEntries": _by_entries,
    "artifactMemberships": _memberships,
}
