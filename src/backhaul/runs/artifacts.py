"""Artifacts that an offline run has logged: their manifest, and where the contents lie now.

The log holds the whole manifest; contents lie outside the run directory, under the absolute path that the recording
machine had (mostly a staging folder in the user's home). Sources: transaction log 3.10, sync protocol 8.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backhaul.errors import PayloadMissing, UnreadableFile
from backhaul.runs.payloads import Digest, Payload, digest_of
from backhaul.runs.roots import Roots, roots_of_bundle

_DIGEST_HEADER = b"wandb-artifact-manifest-v1\n"
CLIENT_REFERENCE = "wandb-client-artifact://"
_AS_RECORDED = Roots()


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


def artifact_of(record: Any, roots: Roots = _AS_RECORDED) -> Artifact:
    """The artifact of an ArtifactRecord. Raises PayloadMissing when its entries lie in a file that is gone."""
    config = {item.key: json.loads(item.value_json) for item in record.manifest.storage_policy_config}
    entries = tuple(sorted(_entries(record.manifest, roots), key=lambda entry: entry.path.encode()))
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


def md5_hex(digest: str) -> str:
    """A base64 MD5 in hex, as the artifact cache names its files."""
    return b64decode(digest).hex()


def digest_base64(content: bytes) -> str:
    """The MD5 of some bytes, base64."""
    return b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


@dataclass(frozen=True, slots=True)
class ContentPlaces:
    """Where contents of artifacts may lie on this machine: under their recorded paths, as `roots` has them now.

    `staging` folders keep the base names of the recording machine; `caches` are artifact caches, which name contents by
    their MD5; `files` is the run's own folder, which has the same tables and media.
    """

    staging: tuple[Path, ...]
    caches: tuple[Path, ...]
    files: Path
    roots: Roots = _AS_RECORDED

    def moved(self, recorded: Path) -> Path | None:
        """Where the file that was recorded at `recorded` lies now; None when it is nowhere."""
        return next((path for path in self.roots.places(recorded) if path.is_file()), None)

    def find(self, entry: Entry) -> Payload:
        """The content of an entry, wherever it lies now, if its MD5 is the entry's. A content that is named by another
        digest is taken by its recorded path and size.

        Raises PayloadMissing, naming the place where it was recorded; UnreadableFile when it is there and closed to us.
        """
        if entry.extra.get("alg") == "XXH128":
            there = self.moved(Path(entry.local_path))
            if there is not None and there.stat().st_size == entry.size:
                return Payload(entry.path, there)
        changed: list[str] = []
        for path in self._candidates(entry):
            if not path.is_file() or path.stat().st_size != entry.size:
                continue
            payload = Payload(entry.path, path)
            if digest_of(payload) == Digest(entry.size, entry.digest):
                return payload
            changed.append(str(path))
        told = f"; {', '.join(changed)} has other content" if changed else ""
        raise PayloadMissing(
            f"The content of {entry.path} was recorded at {entry.local_path} and is not there{told}.",
            next="Copy it there from the recording machine, or set WANDB_DATA_DIR to a copy of that machine's data "
            "folder, and run the same command again.",
        )

    def _candidates(self, entry: Entry) -> Iterator[Path]:
        recorded = Path(entry.local_path)
        yield from self.roots.places(recorded)
        yield from (folder / recorded.name for folder in self.staging)
        digest = md5_hex(entry.digest)
        yield from (cache / "artifacts" / "obj" / "md5" / digest[:2] / digest[2:] for cache in self.caches)
        if self.files.is_dir():
            yield from (path for path in self.files.rglob("*") if path.suffix == Path(entry.path).suffix)


def content_places(env: Mapping[str, str], home: Path, files: Path, roots: Roots = _AS_RECORDED) -> ContentPlaces:
    """The places on this machine: by `roots`, by the bundle in which `files` lies, by the SDK's own variables."""
    data = {Path(env["WANDB_DATA_DIR"])} if env.get("WANDB_DATA_DIR") else set()
    caches = {Path(env["WANDB_CACHE_DIR"])} if env.get("WANDB_CACHE_DIR") else set()
    data.add(home / ".local" / "share" / "wandb")
    caches.add(home / ".cache" / "wandb")
    return ContentPlaces(
        staging=tuple(sorted(folder / "artifacts" / "staging" for folder in data)),
        caches=tuple(sorted(caches)),
        files=files,
        roots=roots + roots_of_bundle(files),
    )


def _entries(manifest: Any, roots: Roots) -> Iterator[Entry]:
    for item in manifest.contents:
        yield Entry(
            path=item.path,
            digest=item.digest,
            size=item.size,
            ref=item.ref,
            local_path=item.local_path,
            birth_artifact_id=item.birth_artifact_id,
            skip_cache=item.skip_cache,
            extra={part.key: json.loads(part.value_json) for part in item.extra},
        )
    if manifest.manifest_file_path:
        recorded = Path(manifest.manifest_file_path)
        there = next((path for path in roots.places(recorded) if path.is_file()), None)
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
