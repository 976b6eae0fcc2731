"""Where the files of an artifact may be PUT: each at one address, or large ones in parts.

A client that would like to send a file in parts says their MD5s with the question (`uploadPartsInput`). It PUTs each
part at an address of its own, and completes the upload with the `ETag`s that it got; then the whole counts.
"""

from __future__ import annotations

import base64
from typing import Any

from backhaul.depot import manifests
from backhaul.depot.addresses import LIFETIME, ContentTarget, PartTarget
from backhaul.depot.artifact import Artifact, Content
from backhaul.depot.graphql.artifacts import find_artifact, number_of
from backhaul.depot.graphql.context import Args, Context, Resolvers
from backhaul.depot.graphql.files import made_file
from backhaul.depot.graphql.identifiers import encode
from backhaul.depot.refusal import Refused, not_found

_MOST_PARTS = 10_000  # as many as clients make
_HEX = frozenset("0123456789abcdef")


def _create_files(_source: Any, context: Context, args: Args) -> Any:
    """An answer for each file, in the order of the request; no address for bytes that are here already."""
    specs = args["input"]["artifactFiles"]
    here = {identifier: _here(context, identifier, specs) for identifier in {spec["artifactID"] for spec in specs}}
    edges = [{"node": _node(context, spec, here[spec["artifactID"]]), "cursor": None} for spec in specs]
    page = {"endCursor": None, "hasNextPage": False}
    return {"files": {"edges": edges, "pageInfo": page, "totalCount": len(edges), "uploadHeaders": []}}


def _here(context: Context, identifier: str, specs: list[Args]) -> dict[str, Content]:
    """What is here already of the files for one version, by MD5; it stays for that version from now on."""
    artifact = find_artifact(context, identifier)
    digests = [manifests.to_hex(spec["md5"]) for spec in specs if spec["artifactID"] == identifier]
    store, project = context.store.artifacts, artifact.collection.project.id
    here = store.rely_on(project, digests, artifact.id)
    lacking = set(digests) - here.keys()
    if lacking and context.settle_files(artifact, lacking):
        here |= store.rely_on(project, sorted(lacking), artifact.id)
    return here


def _node(context: Context, spec: Args, here: dict[str, Content]) -> dict[str, Any]:
    artifact = find_artifact(context, spec["artifactID"])
    project = artifact.collection.project
    md5 = manifests.to_hex(spec["md5"])
    known = here.get(md5)
    target = ContentTarget(project.id, artifact.id, md5)
    parts = _digests(spec.get("uploadPartsInput") or ())
    return made_file(
        encode("ArtifactFile", str(artifact.id), spec["name"]),
        spec["name"],
        storagePath=target.storage_path.lstrip("/"),
        uploadUrl=None if known else context.address("PUT", target),
        uploadHeaders=[f"Content-MD5:{spec['md5']}", f"Content-Type:{spec.get('mimetype') or ''}"],
        uploadMultipartUrls=_in_parts(context, artifact, md5, parts) if parts and not known else None,
        artifact=context.store.artifacts.get(known.birth) if known else artifact,
        sizeBytes=known.size if known else 0,
        md5=spec["md5"],
    )


def _in_parts(context: Context, artifact: Artifact, md5: str, parts: dict[int, str]) -> dict[str, Any]:
    """The upload and an address for each part. Asked again, it is the same upload, with what it has received."""
    if sorted(parts) != list(range(1, len(parts) + 1)) or len(parts) > _MOST_PARTS:
        raise Refused(f"uploadPartsInput: parts are numbered from 1, without gaps, to {_MOST_PARTS} at most")
    services = context.services
    digests = tuple(parts[number] for number in sorted(parts))
    context.user.must_write()
    upload = services.assembly.begin(artifact.id, md5, digests, services.clock() + LIFETIME)
    addresses = services.assembly.addresses(upload) or [
        context.address("PUT", PartTarget(upload.id, number)) for number in sorted(parts)
    ]
    told = [{"partNumber": number, "uploadUrl": address} for number, address in enumerate(addresses, 1)]
    return {"uploadID": encode("Upload", str(upload.id)), "uploadUrlParts": told}


def _complete(_source: Any, context: Context, args: Args) -> Any:
    """Puts the parts together. Doing it again changes nothing: the whole is here already."""
    context.user.must_write()
    fields = args["input"]
    artifact = find_artifact(context, fields["artifactID"])
    project = artifact.collection.project
    upload = number_of("Upload", fields["uploadID"])
    context.services.assembly.complete(artifact.id, upload, project.id, _digests(fields["completedParts"]))
    md5 = fields["storagePath"].rpartition("/")[2]
    if context.store.artifacts.content(project.id, md5) is None:
        raise not_found("upload")
    return {"digest": base64.b64encode(bytes.fromhex(md5)).decode()}


def _digests(parts: Any) -> dict[int, str]:
    """The MD5s by part. A completed part has the `ETag` as it came, quotes and all. Refused with 400 when malformed."""
    found = {int(part["partNumber"]): part["hexMD5"].strip('"').lower() for part in parts}
    if len(found) != len(parts) or any(len(md5) != 32 or not _HEX.issuperset(md5) for md5 in found.values()):
        raise Refused("each part has a number of its own, and an MD5 in hexadecimal")
    return found


ARTIFACT_UPLOADS: Resolvers = {
    "createArtifactFiles": _create_files,
    "completeMultipartUploadArtifact": _complete,
}
