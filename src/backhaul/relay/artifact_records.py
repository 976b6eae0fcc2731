"""The artifacts that a depot's run has logged, as records: contents named by where they were laid."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backhaul.depot.artifact import Artifact
from backhaul.runs.artifacts import CLIENT_REFERENCE
from backhaul.wandblog.schema import ArtifactRecord

_OWN_REFERENCE = re.compile(r"wandb-artifact://(?P<id>[0-9a-f]+)/(?P<path>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ArtifactRecords:
    """Makes records of a depot's artifacts.

    `lay` lays the content with an MD5 (hexadecimal) where it can be read, and says where. `client_id` tells the id that
    its client gave the artifact of a number: by it other artifacts and tables refer to it, here and at the destination.
    `depot_id` tells depots apart, so that an id made here is the same each time and belongs to nobody else.
    """

    depot_id: str
    client_id: Callable[[int], str | None]
    lay: Callable[[str], Path]

    def record(self, artifact: Artifact, manifest: bytes) -> Any:
        """The ArtifactRecord of a committed version with this manifest (JSON)."""
        record = ArtifactRecord(
            type=artifact.collection.type,
            name=artifact.collection.name,
            project=artifact.collection.project.name,
            digest=artifact.digest,
            description=artifact.description or "",
            metadata=artifact.metadata or "",
            aliases=artifact.aliases,
            tags=artifact.tags,
            client_id=self._client_id(artifact.id),
            sequence_client_id=self._made_up("collection", artifact.collection.id),
            ttl_duration_seconds=artifact.ttl or 0,
            finalize=True,
        )
        document = json.loads(manifest)
        record.manifest.version = 1
        record.manifest.storage_policy = document.get("storagePolicy") or "wandb-storage-policy-v1"
        for key, value in (document.get("storagePolicyConfig") or {}).items():
            record.manifest.storage_policy_config.add(key=key, value_json=json.dumps(value))
        for path, entry in sorted(document["contents"].items()):
            self._add_entry(record.manifest, path, entry)
        return record

    def _add_entry(self, manifest: Any, path: str, entry: dict[str, Any]) -> None:
        added = manifest.contents.add(path=path, digest=entry["digest"], size=int(entry.get("size") or 0))
        if reference := entry.get("ref"):
            added.ref = self._reference(reference)
        else:
            added.local_path = str(self.lay(base64.b64decode(entry["digest"]).hex()))
        for key, value in (entry.get("extra") or {}).items():
            added.extra.add(key=key, value_json=json.dumps(value))

    def _reference(self, reference: str) -> str:
        """A reference into another artifact names it by its client's id, since the server's is another elsewhere."""
        match = _OWN_REFERENCE.fullmatch(reference)
        number = _number(match["id"]) if match else None
        if match is None or number is None:
            return reference
        return f"{CLIENT_REFERENCE}{self._client_id(number)}/{match['path']}"

    def _client_id(self, number: int) -> str:
        return self.client_id(number) or self._made_up("artifact", number)

    def _made_up(self, kind: str, number: int) -> str:
        """128 hexadecimal digits, in the form of those that the SDK makes at random."""
        return hashlib.sha512(f"{self.depot_id}:{kind}:{number}".encode()).hexdigest()


def _number(hexadecimal: str) -> int | None:
    """The depot's number of an artifact, from its id on the wire as it stands in references."""
    try:
        name, _, number = bytes.fromhex(hexadecimal).decode().rpartition(":")
        return int(number) if name else None
    except (ValueError, binascii.Error):
        return None
