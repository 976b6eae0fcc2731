"""Where the contents of artifacts lie now; each is known by its digest."""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import xxhash

from backhaul.errors import PayloadMissing
from backhaul.runs.artifacts import Artifact, Entry
from backhaul.runs.payloads import Digest, Payload, blocks_of
from backhaul.runs.recorded_path import recorded_path
from backhaul.runs.roots import AS_RECORDED, Roots
from backhaul.runs.sight import file_size
from backhaul.runs.whereabouts import Whereabouts, whereabouts_of

_NEXT = (
    "Copy it there from the recording machine, or say where that machine's folders lie now: `--root OLD=NEW`, or "
    "WANDB_DATA_DIR for a copy of its data folder; then run the same command again."
)


@dataclass(frozen=True, slots=True)
class Content:
    """A content that was found, with the MD5 that servers ask for."""

    payload: Payload
    digest: Digest


@dataclass(slots=True)
class ContentPlaces:
    """Where contents of one run's artifacts may lie on this machine.

    `staging` folders keep the base names of the recording machine; `caches` are artifact caches, which name contents by
    their digest; `files` is the run's own folder, which has the same tables and media.
    """

    staging: tuple[Path, ...]
    caches: tuple[Path, ...]
    files: Path
    whereabouts: Whereabouts
    _by_size: dict[int, list[Path]] | None = field(default=None, init=False)

    def contents_of(self, artifact: Artifact) -> tuple[Artifact, dict[str, Payload]]:
        """Where each file of an artifact lies, by its path there.

        Contents that are known by XXH128 get their MD5, and the artifact the digest that then belongs to it. Raises
        PayloadMissing when a content is gone: an artifact without it would be another one.
        """
        entries, contents = [], {}
        for entry in artifact.entries:
            if entry.has_content:
                found = self.content(entry)
                contents[entry.path] = found.payload
                entry = entry.with_md5(found.digest.md5) if entry.is_xxh128 else entry
            entries.append(entry)
        changed = any(entry.is_xxh128 and entry.has_content for entry in artifact.entries)
        return (artifact.with_entries(tuple(entries)) if changed else artifact), contents

    def moved(self, recorded: Path) -> Path | None:
        """Where the file that was recorded at `recorded` lies now, by its path alone; None when it is nowhere."""
        return next((path for path in self.whereabouts.places(recorded) if file_size(path) is not None), None)

    def find(self, entry: Entry) -> Payload:
        """Where the content of an entry lies; raises what `content` raises."""
        return self.content(entry).payload

    def content(self, entry: Entry) -> Content:
        """The content of an entry, wherever it lies now, if it is the one that the entry's digest names.

        Raises PayloadMissing, naming the place where it was recorded; UnreadableFile when it is there and closed to us.
        """
        changed: list[str] = []
        for path in dict.fromkeys(self._candidates(entry)):
            if file_size(path) != entry.size:
                continue
            payload = Payload(entry.path, path)
            digest, is_it = _looked_at(payload, entry)
            if is_it:
                return Content(payload, digest)
            changed.append(str(path))
        told = f"; {', '.join(changed)} has other content" if changed else ""
        raise PayloadMissing(
            f"The content of {entry.path} was recorded at {entry.local_path} and is not there{told}.", next=_NEXT
        )

    def _candidates(self, entry: Entry) -> Iterator[Path]:
        recorded = recorded_path(entry.local_path)
        yield from self.whereabouts.places(recorded)
        yield from (folder / recorded.name for folder in self.staging)
        kind, digest = "xxh128" if entry.is_xxh128 else "md5", _in_hex(entry.digest)
        if digest:
            yield from (cache / "artifacts" / "obj" / kind / digest[:2] / digest[2:] for cache in self.caches)
        yield from self._files_of_size(entry.size)
        yield from self.whereabouts.possible(recorded)

    def _files_of_size(self, size: int) -> list[Path]:
        """The files in the run's folder that are so long; looked at once, however many contents are missing."""
        if self._by_size is None:
            self._by_size = {}
            for path in self.files.rglob("*"):
                if (length := file_size(path)) is not None:
                    self._by_size.setdefault(length, []).append(path)
        return self._by_size.get(size, [])


def content_places(env: Mapping[str, str], home: Path, files: Path, roots: Roots = AS_RECORDED) -> ContentPlaces:
    """The places on this machine for the run whose files lie in `files`.

    They go by `roots`, by the bundle in which the run lies if it does, and by the variables that the SDK itself obeys.
    """
    data = {Path(env["WANDB_DATA_DIR"])} if env.get("WANDB_DATA_DIR") else set()
    caches = {Path(env["WANDB_CACHE_DIR"])} if env.get("WANDB_CACHE_DIR") else set()
    data.add(home / ".local" / "share" / "wandb")
    caches.add(home / ".cache" / "wandb")
    return ContentPlaces(
        staging=tuple(sorted(folder / "artifacts" / "staging" for folder in data)),
        caches=tuple(sorted(caches)),
        files=files,
        whereabouts=whereabouts_of(files, roots),
    )


def _in_hex(digest: str) -> str:
    """A digest as caches name contents; empty for one that is none."""
    try:
        return b64decode(digest, validate=True).hex()
    except binascii.Error:
        return ""


def _looked_at(payload: Payload, entry: Entry) -> tuple[Digest, bool]:
    """Size and MD5 of a file, and whether it is the entry's content."""
    size, md5, xxh128 = 0, hashlib.md5(usedforsecurity=False), xxhash.xxh128() if entry.is_xxh128 else None
    for block in blocks_of(payload):
        size += len(block)
        md5.update(block)
        if xxh128 is not None:
            xxh128.update(block)
    found = md5 if xxh128 is None else xxh128
    is_it = size == entry.size and b64encode(found.digest()).decode() == entry.digest
    return Digest(size, b64encode(md5.digest()).decode()), is_it
