"""Artifacts as clients read them: versions, collections, types."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from backhaul.depot.addresses import ContentTarget, ManifestTarget
from backhaul.depot.artifact import LATEST, Artifact, Collection, Entry
from backhaul.depot.graphql import viewers
from backhaul.depot.graphql.connections import connection
from backhaul.depot.graphql.context import Args, Context, Resolvers, text
from backhaul.depot.graphql.files import made_file
from backhaul.depot.graphql.identifiers import encode
from backhaul.depot.graphql.times import iso
from backhaul.depot.model import Project

_NO_TIME_TO_LIVE = -2


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of artifacts in a project."""

    project: Project
    name: str


def artifact_id(artifact: Artifact) -> str:
    """The id of a version: base64 of plain text, which clients turn into hexadecimal for references."""
    return encode("Artifact", str(artifact.id))


def named(project: Project, context: Context, name: str | None) -> Artifact | None:
    """The version that `collection:alias` names; without an alias the latest."""
    series_name, _, alias = (name or "").partition(":")
    series = context.store.artifacts.collection(project.id, series_name)
    return context.store.artifacts.find(series, alias or LATEST) if series else None


def kinds(project: Project, context: Context) -> list[Kind]:
    """The types that occur in a project, by name."""
    return [
        Kind(project, name) for name in sorted({each.type for each in context.store.artifacts.collections(project.id)})
    ]


def _membership(artifact: Artifact) -> dict[str, Any]:
    """That a version belongs to the collection under which it was logged; there are no other memberships here."""
    return {
        "id": encode("ArtifactCollectionMembership", str(artifact.id)),
        "versionIndex": artifact.version,
        "createdAt": iso(artifact.created_at),
        "aliases": _aliases(artifact),
        "artifactCollection": artifact.collection,
        "artifact": artifact,
    }


def _aliases(artifact: Artifact) -> list[dict[str, Any]]:
    """The aliases; the number is one of them (`v3`), and old clients read it from here."""
    series = artifact.collection
    number = () if artifact.version is None else (f"v{artifact.version}",)
    return [
        {
            "id": encode("ArtifactAlias", str(series.id), alias),
            "alias": alias,
            "artifactCollectionName": series.name,
            "artifactCollection": series,
        }
        for alias in (*artifact.aliases, *number)
    ]


def _files(artifact: Artifact, context: Context, args: Args) -> Any:
    """The entries whose bytes are kept here; references are not files."""
    manifest = context.store.artifacts.current_manifest(artifact.id)
    names = set(args.get("names") or ())
    entries = [
        entry
        for entry in context.services.manifests.entries(manifest)
        if entry.md5 is not None and (not names or entry.name in names)
    ]
    return connection(entries, args, lambda entry: _file(artifact, entry, context))


def _file(artifact: Artifact, entry: Entry, context: Context) -> dict[str, Any]:
    md5 = entry.md5 or ""
    digest = base64.b64encode(bytes.fromhex(md5)).decode()
    target = ContentTarget(artifact.collection.project.id, artifact.id, md5)
    address = context.services.signer.address(context.base, "GET", target)
    return made_file(
        encode("ArtifactFile", str(artifact.id), entry.name),
        entry.name,
        url=address,
        directUrl=address,
        sizeBytes=entry.size,
        md5=digest,
        digest=digest,
        updatedAt=iso(artifact.updated_at),
        storagePath=entry.name,
        artifact=artifact,
    )


def _by_entries(artifact: Artifact, context: Context, args: Args) -> Any:
    names = [entry["name"] for entry in args.get("entries") or ()]
    return _files(artifact, context, {"names": names} if names else {})


def _current_manifest(artifact: Artifact, context: Context, _args: Args) -> Any:
    manifest = context.store.artifacts.current_manifest(artifact.id)
    if manifest is None:
        return None
    address = context.services.signer.address(context.base, "GET", ManifestTarget(manifest.id))
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


ARTIFACT: Resolvers = {
    "id": lambda artifact, _c, _a: artifact_id(artifact),
    "digest": lambda artifact, _c, _a: artifact.digest,
    "digestAlgorithm": lambda _x, _c, _a: "MANIFEST_MD5",
    "state": lambda artifact, _c, _a: "COMMITTED" if artifact.committed else "PENDING",
    "versionIndex": lambda artifact, _c, _a: artifact.version,
    "artifactSequence": lambda artifact, _c, _a: artifact.collection,
    "artifactType": lambda artifact, _c, _a: Kind(artifact.collection.project, artifact.collection.type),
    "description": lambda artifact, _c, _a: artifact.description,
    "metadata": lambda artifact, _c, _a: artifact.metadata,
    "ttlDurationSeconds": lambda _x, _c, _a: _NO_TIME_TO_LIVE,
    "ttlIsInherited": lambda _x, _c, _a: True,
    "tags": lambda _x, _c, _a: [],
    "historyStep": lambda artifact, _c, _a: artifact.history_step,
    "size": lambda artifact, _c, _a: artifact.size,
    "fileCount": lambda artifact, _c, _a: artifact.file_count,
    "commitHash": lambda artifact, _c, _a: artifact.digest,
    "createdAt": lambda artifact, _c, _a: iso(artifact.created_at),
    "updatedAt": lambda artifact, _c, _a: iso(artifact.updated_at),
    "aliases": lambda artifact, _c, _a: _aliases(artifact),
    "currentManifest": _current_manifest,
    "createdBy": _created_by,
    "usedBy": lambda artifact, context, args: connection(context.store.artifacts.users(artifact.id), args),
    "files": _files,
    "filesByManifestEntries": _by_entries,
    "artifactMemberships": lambda artifact, _c, args: connection([_membership(artifact)], args),
}


def _versions(series: Collection, context: Context, args: Args) -> Any:
    found = connection(context.store.artifacts.versions(series), args)
    for edge in found["edges"]:
        edge["version"] = f"v{edge['node'].version}"
    return found


def _series_membership(series: Collection, context: Context, args: Args) -> Any:
    artifact = context.store.artifacts.find(series, text(args, "aliasName") or LATEST)
    return _membership(artifact) if artifact else None


def _series_aliases(series: Collection, context: Context, args: Args) -> Any:
    return connection([alias for each in context.store.artifacts.versions(series) for alias in _aliases(each)], args)


def _newest(series: Collection, context: Context, _args: Args) -> Artifact | None:
    return next(iter(context.store.artifacts.versions(series)), None)


SEQUENCE: Resolvers = {
    "id": lambda series, _c, _a: encode("ArtifactCollection", str(series.id)),
    "name": lambda series, _c, _a: series.name,
    "description": lambda _s, _c, _a: None,
    "createdAt": lambda series, _c, _a: iso(series.created_at),
    "updatedAt": lambda series, _c, _a: iso(series.created_at),
    "state": lambda _s, _c, _a: "READY",
    "project": lambda series, _c, _a: series.project,
    "defaultArtifactType": lambda series, _c, _a: Kind(series.project, series.type),
    "tags": lambda _s, _c, args: connection([], args),
    "aliases": _series_aliases,
    "artifacts": _versions,
    "artifactMembership": _series_membership,
    "latestArtifact": _newest,
    "digestAlgorithm": lambda _s, _c, _a: "MANIFEST_MD5",
}


def _of_kind(kind: Kind, context: Context, args: Args) -> Any:
    found = [each for each in context.store.artifacts.collections(kind.project.id) if each.type == kind.name]
    return connection(found, args)


def _one_of_kind(kind: Kind, context: Context, args: Args) -> Any:
    series = context.store.artifacts.collection(kind.project.id, text(args, "name") or "")
    return series if series and series.type == kind.name else None


KIND: Resolvers = {
    "id": lambda kind, _c, _a: encode("ArtifactType", str(kind.project.id), kind.name),
    "name": lambda kind, _c, _a: kind.name,
    "description": lambda _k, _c, _a: None,
    "createdAt": lambda kind, _c, _a: iso(kind.project.created_at),
    "project": lambda kind, _c, _a: kind.project,
    "artifact": lambda kind, context, args: named(kind.project, context, text(args, "name")),
    "artifactCollection": _one_of_kind,
    "artifactCollections": _of_kind,
    "artifactSequence": _one_of_kind,
    "artifactSequences": _of_kind,
}


def _project_membership(project: Project, context: Context, args: Args) -> Any:
    artifact = named(project, context, text(args, "name"))
    return _membership(artifact) if artifact else None


def _project_kind(project: Project, context: Context, args: Args) -> Kind | None:
    return next((kind for kind in kinds(project, context) if kind.name == args.get("name")), None)


IN_PROJECT: Resolvers = {
    "artifact": lambda project, context, args: named(project, context, text(args, "name")),
    "artifactType": _project_kind,
    "artifactTypes": lambda project, context, args: connection(kinds(project, context), args),
    "artifactCollection": lambda project, context, args: context.store.artifacts.collection(
        project.id, text(args, "name") or ""
    ),
    "artifactCollections": lambda project, context, args: connection(
        context.store.artifacts.collections(project.id), args
    ),
    "artifactCollectionMembership": _project_membership,
}

MEMBERSHIP: Resolvers = {"files": lambda membership, context, args: _files(membership["artifact"], context, args)}
"""The other fields are members of the answer already."""
