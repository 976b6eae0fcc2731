"""How an artifact is brought: a version is made, its files and its manifest are PUT, then it is committed.

What waits shows nowhere. A commit looks that every entry's bytes are here, so that a version is whole or not there.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

from backhaul.depot.addresses import ManifestTarget
from backhaul.depot.artifact import Artifact, Draft, Manifest, Window
from backhaul.depot.graphql import identifiers
from backhaul.depot.graphql.artifact_uploads import ARTIFACT_UPLOADS
from backhaul.depot.graphql.artifacts import Kind, artifact_id, find_artifact, number_of
from backhaul.depot.graphql.context import Args, Context, Resolvers, text
from backhaul.depot.graphql.files import made_file
from backhaul.depot.graphql.places import place, run_named
from backhaul.depot.manifests import to_hex
from backhaul.depot.refusal import Refused, not_found

_LONGEST_NAME = 128
_NOT_IN_NAME = frozenset("/:\\\0")


def checked_name(what: str, name: str | None) -> str:
    """The name, if an artifact, type or alias may be called so. Refused with 400 otherwise."""
    if name and len(name) > _LONGEST_NAME:
        raise Refused(f"invalid {what} {name[:200]}, must be {_LONGEST_NAME} characters or less")
    if not name or any(character in _NOT_IN_NAME for character in name):
        raise Refused(f"invalid {what} {(name or '')[:200]!r}: 1 to {_LONGEST_NAME} characters without / and :")
    return name


def alias_names(fields: Args) -> list[str]:
    """The aliases of an input. A version's number (`v3`) is no alias that could be given to another one."""
    found = [checked_name("alias", alias["alias"]) for alias in fields.get("aliases") or ()]
    return [alias for alias in found if not (alias[0] == "v" and alias[1:].isdecimal())]


def tag_names(fields: Args, name: str) -> list[str]:
    """The tags of an input."""
    return [tag["tagName"] for tag in fields.get(name) or ()]


def _create(_source: Any, context: Context, args: Args) -> Any:
    fields = args["input"]
    entity, project = place(context, fields)
    series = text(fields, "artifactCollectionName") or next(iter(fields.get("artifactCollectionNames") or ()), None)
    run = run_named(context, fields) if text(fields, "runName") else None
    region = text(fields, "storageRegion")
    if region not in (None, "default"):
        raise Refused(f"createArtifact: invalid storageRegion: {region}")
    draft = Draft(
        entity=entity,
        project=project,
        collection=checked_name("artifact name", series),
        type=checked_name("artifact type", text(fields, "artifactTypeName")),
        digest=fields["digest"],
        aliases=tuple(alias_names(fields)),
        run_id=run.id if run else None,
        # Several processes that fill one version together share this id; each of them has another client id.
        client_id=text(fields, "distributedID") or text(fields, "clientID"),
        description=fields.get("description"),
        metadata=fields.get("metadata"),
        history_step=fields.get("historyStep"),
        tags=tuple(tag_names(fields, "tags")),
        ttl=fields.get("ttlDurationSeconds"),
        reuse=fields.get("enableDigestDeduplication") is not False,
    )
    return {"artifact": context.store.artifacts.create(draft)}


def _create_type(_source: Any, context: Context, args: Args) -> Any:
    """A type needs no making: it is there as soon as a collection has it."""
    entity, project = place(context, args["input"])
    return {
        "artifactType": Kind(
            context.store.make_project(entity, project), checked_name("artifact type", args["input"]["name"])
        )
    }


def _create_manifest(_source: Any, context: Context, args: Args) -> Any:
    fields = args["input"]
    artifact = find_artifact(context, fields["artifactID"])
    base = text(fields, "baseArtifactID")
    base_id = find_artifact(context, base).id if base else None
    kind, digest = fields.get("type") or "FULL", fields.get("digest") or ""
    return _manifest_answer(context, context.store.artifacts.make_manifest(artifact.id, digest, kind, base_id))


def _update_manifest(_source: Any, context: Context, args: Args) -> Any:
    fields = args["input"]
    before = context.store.artifacts.manifest(number_of("ArtifactManifest", fields["artifactManifestID"]))
    if before is None:
        raise not_found("artifact manifest")
    digest = fields.get("digest") or before.digest
    base = text(fields, "baseArtifactID")
    base_id = find_artifact(context, base).id if base else before.base_id
    made = context.store.artifacts.make_manifest(before.artifact_id, digest, before.kind, base_id)
    return _manifest_answer(context, made)


def _manifest_answer(context: Context, manifest: Manifest) -> Any:
    file = made_file(
        identifiers.encode("ManifestFile", str(manifest.id)),
        "wandb_manifest.json",
        uploadUrl=context.address("PUT", ManifestTarget(manifest.id, manifest.artifact_id, _md5(manifest))),
        uploadHeaders=[f"Content-MD5:{manifest.digest}"] if manifest.digest else [],
    )
    return {"artifactManifest": {"id": identifiers.encode("ArtifactManifest", str(manifest.id)), "file": file}}


def _md5(manifest: Manifest) -> str | None:
    """What the manifest's bytes must have; None where it was not said, or says nothing."""
    try:
        return to_hex(manifest.digest)
    except Refused:
        return None


def _commit(_source: Any, context: Context, args: Args) -> Any:
    artifact = find_artifact(context, args["input"]["artifactID"])
    if artifact.committed:
        return {"artifact": artifact}
    context.settle(artifact)
    manifest = context.store.artifacts.current_manifest(artifact.id)
    if manifest is None:
        raise Refused("the artifact cannot be committed: its manifest has not arrived")
    if manifest.kind != "FULL":
        manifest = _completed(context, artifact)
    entries = context.services.manifests.entries(manifest)
    return {"artifact": context.store.artifacts.commit(artifact.id, manifest.id, entries)}


def _completed(context: Context, artifact: Artifact) -> Manifest:
    """The whole manifest of a version that was described by what it adds: to its base, else to the latest version."""
    store = context.store.artifacts
    parts = store.manifests(artifact.id)
    base_id = next((part.base_id for part in parts if part.base_id), None)
    if base_id is None and parts[0].kind == "INCREMENTAL":
        before = next(iter(store.members(artifact.collection, Window(1))), None)
        base_id = before.artifact.id if before else None
    base = store.current_manifest(base_id) if base_id is not None else None
    if base_id is not None and base is None:
        raise Refused("the artifact cannot be committed: the version that it adds to was deleted", 409)
    blob = context.services.blobs.keep(context.services.manifests.merged([base, *parts] if base else parts))
    digest = base64.b64encode(bytes.fromhex(blob.md5)).decode()
    whole = store.make_manifest(artifact.id, digest)
    store.put_manifest(whole.id, blob)
    return replace(whole, blob=blob.name, size=blob.size)


def _use(_source: Any, context: Context, args: Args) -> Any:
    fields = args["input"]
    artifact = find_artifact(context, fields["artifactID"])
    context.store.artifacts.use(run_named(context, fields).id, artifact.id)
    return {"artifact": artifact}


def _update(_source: Any, context: Context, args: Args) -> Any:
    fields = args["input"]
    artifact = find_artifact(context, fields["artifactID"])
    store = context.store.artifacts
    store.edit(artifact.id, fields.get("description"), fields.get("metadata"), fields.get("ttlDurationSeconds"))
    store.tag(artifact.id, tag_names(fields, "tagsToAdd"), tag_names(fields, "tagsToDelete"))
    if fields.get("aliases") is not None:
        wanted = alias_names(fields)
        store.set_aliases(artifact, wanted, [each for each in artifact.aliases if each not in wanted])
    return {"artifact": store.get(artifact.id)}


def client_mapping(_source: Any, context: Context, args: Args) -> Any:
    """The id here of the version to which a client gave an id of its own."""
    artifact = context.store.artifacts.by_client(text(args, "clientID") or "")
    return {"serverID": artifact_id(artifact)} if artifact else None


ARTIFACT_MUTATIONS: Resolvers = {
    "createArtifactType": _create_type,
    "createArtifact": _create,
    "createArtifactManifest": _create_manifest,
    "updateArtifactManifest": _update_manifest,
    **ARTIFACT_UPLOADS,
    "commitArtifact": _commit,
    "useArtifact": _use,
    "updateArtifact": _update,
}
