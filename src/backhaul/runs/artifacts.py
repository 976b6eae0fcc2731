"""Artifacts that an offline run has logged, with their manifest.

The log holds the whole manifest; contents lie outside the run directory, under the absolute path that the recording
machine had (mostly a staging folder in the user's home), see `content_places`. Sources: transaction log 3.10, sync
protocol 8.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backhaul.errors import PayloadMissing, UnreadableFile
from backhaul.runs.recorded_path import recorded_path
from backhaul.runs.roots import AS_RECORDED, Places
from backhaul.runs.sight import file_size

_DIGEST_HEADER = b"wandb-artifact-manifest-v1\n"
UNFINISHED = "unfinished"
CLIENT_REFERENCE = "wandb-client-artifact://"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or reference of an artifact: its path in it, digest (base64 MD5 of a file), size in bytes.

    `ref` is the address of a reference, else empty; `local_path` where the content was when the run was recorded.
    """

    path: str
    digest: str
    size: int = 0
    ref: str = ""
    local_path: str = ""
    birth_artifact_id: str = ""
    skip_cache: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_content(self) -> bool:
        """Whether a file belongs to the entry that has to be sent."""
        return bool(self.local_path) and not self.ref

    @property
    def is_xxh128(self) -> bool:
        """Whether the digest is an XXH128 and no MD5 (SDK 0.29 on, if the script asked for it)."""
        return self.extra.get("alg") == "XXH128"

    def with_md5(self, md5: str) -> Entry:
        """The same entry, known by its MD5 (base64)."""
        extra = {key: value for key, value in self.extra.items() if key != "alg"}
        return replace(self, digest=md5, extra=extra)

    def as_json(self) -> dict[str, Any]:
        """The entry in a manifest. The recording machine's path is left out: it means nothing elsewhere."""
        optional = {"ref": self.ref, "birthArtifactID": self.birth_artifact_id, "extra": dict(self.extra)}
        present = {name: value for name, value in optional.items() if value}
        return {"digest": self.digest, "size": self.size, **present, "skip_cache": self.skip_cache}


@dataclass(frozen=True, slots=True)
class Artifact:
    """An artifact as its record has it, with its entries in the order of their paths."""

    type: str
    name: str
    digest: str
    description: str
    metadata: str
    aliases: tuple[str, ...]
    tags: tuple[str, ...]
    client_id: str
    sequence_client_id: str
    base_id: str
    distributed_id: str
    ttl_seconds: int
    incremental: bool
    finalize: bool
    use_after_commit: bool
    user_created: bool
    storage_policy: str
    storage_config: Mapping[str, Any]
    entries: tuple[Entry, ...]

    @property
    def largest_content(self) -> int:
        """The bytes of the largest file that has to be sent; 0 if there is none."""
        return max((entry.size for entry in self.entries if entry.has_content), default=0)

    @property
    def provable_digest(self) -> str:
        """The digest that a server must show: `UNFINISHED` if others add to the artifact and commit it later.

        Empty, for any, where the server puts the manifest together of what several writers or versions brought, or
        knows contents by MD5 that the log knows by XXH128.
        """
        if not self.finalize:
            return UNFINISHED
        by_other_digests = any(entry.is_xxh128 and entry.has_content for entry in self.entries)
        return "" if self.distributed_id or self.incremental or by_other_digests else self.digest

    def manifest(self) -> bytes:
        """The manifest file's content (version 1, compact JSON, paths in byte order)."""
        contents = {entry.path: entry.as_json() for entry in self.entries}
        manifest = {
            "version": 1,
            "storagePolicy": self.storage_policy,
            "storagePolicyConfig": dict(self.storage_config),
            "contents": contents,
        }
        return json.dumps(manifest, ensure_ascii=False, separators=(",", ":")).encode()

    def with_entries(self, entries: tuple[Entry, ...]) -> Artifact:
        """The same artifact with other entries, and the digest that belongs to them."""
        ordered = tuple(sorted(entries, key=lambda entry: entry.path.encode()))
        return replace(self, entries=ordered, digest=manifest_digest(ordered))


def artifact_of(record: Any, places: Places = AS_RECORDED) -> Artifact:
    """The artifact of an ArtifactRecord. Its list of entries may be a file, which lies at one of `places`.

    Raises PayloadMissing when that is gone, UnreadableFile when it, or the record itself, makes no sense.
    """
    config = _values(record.manifest.storage_policy_config)
    entries = tuple(sorted(_entries(record.manifest, places), key=lambda entry: entry.path.encode()))
    return Artifact(
        type=record.type,
        name=record.name,
        digest=record.digest,
        description=record.description,
        metadata=record.metadata,
        aliases=tuple(record.aliases),
        tags=tuple(record.tags),
        client_id=record.client_id,
        sequence_client_id=record.sequence_client_id,
        base_id=record.base_id,
        distributed_id=record.distributed_id,
        ttl_seconds=record.ttl_duration_seconds,
        incremental=record.incremental_beta1,
        finalize=record.finalize,
        use_after_commit=record.use_after_commit,
        user_created=record.user_created,
        storage_policy=record.manifest.storage_policy or "wandb-storage-policy-v1",
        storage_config=config or {"storageLayout": "V2"},
        entries=entries,
    )


def manifest_digest(entries: tuple[Entry, ...]) -> str:
    """An artifact's digest: hex MD5 over a header line and `path:digest` lines, paths in byte order."""
    md5 = hashlib.md5(_DIGEST_HEADER, usedforsecurity=False)
    for entry in entries:
        md5.update(f"{entry.path}:{entry.digest}\n".encode())
    return md5.hexdigest()


def digest_base64(content: bytes) -> str:
    """The MD5 of some bytes, base64."""
    return b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def _values(items: Any) -> dict[str, Any]:
    try:
        return {item.key: json.loads(item.value_json) for item in items}
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(f"What the log says of an artifact makes no sense: {error}") from error


def _entries(manifest: Any, places: Places) -> Iterator[Entry]:
    for item in manifest.contents:
        yield Entry(
            path=item.path,
            digest=item.digest,
            size=item.size,
            ref=item.ref,
            local_path=item.local_path,
            birth_artifact_id=item.birth_artifact_id,
            skip_cache=item.skip_cache,
            extra=_values(item.extra),
        )
    if manifest.manifest_file_path:
        recorded = recorded_path(manifest.manifest_file_path)
        there = next((path for path in places.places(recorded) if file_size(path) is not None), None)
        if there is None:
            raise PayloadMissing(f"The list of an artifact's files was recorded at {recorded} and is not there.")
        yield from _entries_of_file(there)


def _entries_of_file(path: Path) -> Iterator[Entry]:
    """The entries of a manifest of more than 100,000, which the SDK keeps in a file of its own (gzip, JSON lines)."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                item = json.loads(line)
                yield Entry(
                    path=item["path"],
                    digest=item["digest"],
                    size=item.get("size", 0),
                    ref=item.get("ref", ""),
                    local_path=item.get("local_path", ""),
                    birth_artifact_id=item.get("birthArtifactID", ""),
                    skip_cache=item.get("skip_cache", False),
                    extra=item.get("extra") or {},
                )
    except (OSError, ValueError, KeyError) as error:
        raise UnreadableFile(f"The list of an artifact's files at {path} cannot be read: {error}") from error
