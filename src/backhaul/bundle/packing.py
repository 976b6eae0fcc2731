"""Packing: the files go through a megabyte at a time, and an interrupted packing goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

from backhaul.bundle.contents import Contents, Source
from backhaul.bundle.manifest import MANIFEST_SIZE, Manifest, Missing
from backhaul.bundle.member import Member, padding, tar_head
from backhaul.bundle.output import Mark, Output
from backhaul.bundle.piece import (
    FIRST_RESERVED,
    HEADER_SIZE,
    MANIFEST,
    MANIFEST_AGAIN,
    RAW_SIZE,
    SIGNATURE,
    SIGNATURE_AGAIN,
    TAR_END,
    Kind,
    compressed,
)
from backhaul.bundle.progress import OnProgress, tell_nobody
from backhaul.bundle.reading import Found
from backhaul.bundle.seal import seal_of, signer_of_bundle
from backhaul.errors import UsageError

# What the manifest and its seal are called in the tar.
MANIFEST_NAME, SEAL_NAME = "backhaul/manifest.json", "backhaul/seal.json"
_NAMES = {
    MANIFEST: MANIFEST_NAME,
    SIGNATURE: SEAL_NAME,
    MANIFEST_AGAIN: "backhaul/manifest-again.json",
    SIGNATURE_AGAIN: "backhaul/seal-again.json",
}
# The last bytes of a bundle have a known length, so that they are found from behind.
END_BODY = 200
END_SIZE = HEADER_SIZE + END_BODY
_TAR_END = bytes(1024)
_MOST_TRIES = 4


@dataclass(frozen=True, slots=True)
class Packed:
    """A bundle that was made: its volumes, the manifest, whose key signed it, and how many files were there already."""

    volumes: tuple[Path, ...]
    manifest: Manifest
    signer: str
    kept: int = 0

    @property
    def size(self) -> int:
        """Bytes of all volumes."""
        return sum(path.stat().st_size for path in self.volumes)


def pack(
    contents: Contents,
    target: Path,
    state_folder: Path,
    *,
    split: int | None = None,
    level: int = 3,
    on_progress: OnProgress = tell_nobody,
) -> Packed:
    """Make the bundle `target` (with `split`, volumes `target.001` …, each smaller than so many bytes).

    It appears when it is whole. What an interruption left is used as far as the files are unchanged. `on_progress` is
    told each name and the bytes of it that went in. Raises what `Output` raises.
    """
    with Output(target, split) as output:
        packing = _Packing(contents, output, level, on_progress)
        kept = packing.go_on()
        packing.files()
        manifest = packing.manifest()
        encoded = manifest.encoded()
        if len(encoded) > MANIFEST_SIZE:
            raise UsageError("There are too many files for one bundle.", next="Pack the runs in several bundles.")
        seal = seal_of(encoded, state_folder)
        packing.end(encoded, seal)
        volumes = output.finish()
    return Packed(tuple(volumes), manifest, signer_of_bundle(encoded, seal), kept)


class _Changed(Exception):
    """The file is no longer what it was when its head was written."""


@dataclass(slots=True)
class _Packing:
    """One bundle on its way."""

    contents: Contents
    output: Output
    level: int
    on_progress: OnProgress
    members: dict[str, Member] = field(default_factory=dict)
    at: int = 0
    grown: set[str] = field(default_factory=set)

    def go_on(self) -> int:
        """Keep what an interrupted packing left, up to the first file that is not as it was; how many were kept."""
        mark = Mark(0, 0)
        for found, behind in self.output.left_over():
            if not isinstance(found, Found) or found.piece.member >= FIRST_RESERVED:
                break
            if found.piece.kind is not Kind.ENTRY:
                continue
            member = _member_of(found.body)
            if member is None or member.number != len(self.members) or not self._is_unchanged(member):
                break
            self.members[member.name] = member
            self.at, mark = member.end, behind
            self.on_progress(member.name, member.size)
        self.output.cut(mark)
        return len(self.members)

    def files(self) -> None:
        """Pack every file that is not in yet; one that cannot be packed is told as missing."""
        for source in self.contents.sources.values():
            if source.name in self.members:
                continue
            try:
                self._file(source)
            except OSError as error:
                # What could not be written is told by `Output` in its own words: this is about reading.
                self._miss(source, f"It cannot be read: {error.strerror or error}.")

    def manifest(self) -> Manifest:
        """The manifest of what went in. A log that grew meanwhile is one that is being recorded."""
        runs = [
            replace(run, recording=run.recording or run.log_member in self.grown)
            for run in self.contents.runs
            if run.log_member in self.members
        ]
        return Manifest(
            bundle=self.output.bundle.hex(),
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            made_by=f"backhaul {version('backhaul')}",
            host=socket.gethostname(),
            roots=tuple(self.contents.roots),
            runs=tuple(runs),
            members=tuple(self.members.values()),
            missing=tuple(self.contents.missing),
        )

    def end(self, manifest: bytes, seal: bytes) -> None:
        """The manifest and its seal, twice, so that no single place is needed; the tar's end; the bundle's end."""
        places = []
        for manifest_number, seal_number in ((MANIFEST, SIGNATURE), (MANIFEST_AGAIN, SIGNATURE_AGAIN)):
            places.append(self._whole(manifest_number, manifest))
            self._whole(seal_number, seal)
        self._part(TAR_END, _TAR_END)
        volumes = self.output.make_room(END_SIZE)
        told = json.dumps({"volumes": volumes, "manifest": places}).encode().ljust(END_BODY)
        self.output.add(Kind.END, told, member=TAR_END, offset=self.at)

    def _is_unchanged(self, member: Member) -> bool:
        source = self.contents.sources.get(member.name)
        if source is None or str(source.path) != member.source:
            return False
        try:
            status = source.path.stat()
        except OSError:
            return False
        size = status.st_size if source.size is None else source.size
        return (size, status.st_mtime_ns) == (member.size, member.mtime_ns)

    def _file(self, source: Source) -> None:
        for _ in range(_MOST_TRIES):
            mark, at = self.output.mark, self.at
            try:
                member = self._content(source)
            except _Changed:
                self.output.cut(mark)
                self.at = at
                continue
            except OSError:
                self.output.cut(mark)
                self.at = at
                raise
            self.output.add(Kind.ENTRY, json.dumps(member.as_json()).encode(), member=member.number)
            self.members[member.name] = member
            return
        self._miss(source, "It changes again and again while it is packed.")

    def _content(self, source: Source) -> Member:
        # Without waiting: a pipe that lies where a file was would never end.
        descriptor = os.open(source.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise OSError(0, "it is no file")
            size = before.st_size if source.size is None else source.size
            number, at, digest = len(self.members), self.at, hashlib.sha256()
            head = tar_head(source.name, size, before.st_mtime_ns)
            for raw, content in _stretches(file, head, size):
                digest.update(content)
                self._part(number, raw)
                self.on_progress(source.name, len(content))
            after = os.fstat(descriptor)
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns) or size < before.st_size:
            if source.size is None:
                raise _Changed
            self.grown.add(source.name)
        return Member(number, source.name, size, digest.hexdigest(), before.st_mtime_ns, str(source.path), at)

    def _whole(self, number: int, content: bytes) -> Mark:
        """A member that is in memory; where it lies."""
        raw = tar_head(_NAMES[number], len(content), 0) + content + bytes(padding(len(content)))
        places = [self._part(number, raw[at : at + RAW_SIZE]) for at in range(0, len(raw), RAW_SIZE)]
        return places[0]

    def _part(self, number: int, raw: bytes) -> Mark:
        body = compressed(raw, self.level)
        mark = self.output.add(Kind.PART, body, member=number, offset=self.at, raw_size=len(raw))
        self.at += len(raw)
        return mark

    def _miss(self, source: Source, reason: str) -> None:
        run = next((run.at for run in self.contents.runs if source.name.startswith(f"{run.at}/")), "")
        self.contents.missing.append(Missing(run, "file", str(source.path), reason))


def _member_of(entry: bytes) -> Member | None:
    """What an entry tells; None for one of another version."""
    try:
        return Member.of_json(json.loads(entry))
    except (ValueError, KeyError, TypeError):
        return None


def _stretches(file: BinaryIO, head: bytes, size: int) -> Iterator[tuple[bytes, bytes]]:
    """A file in a tar, in stretches of at most `RAW_SIZE`: each as it stands there, and the content in it.

    Raises _Changed when the file is shorter than `size`, OSError.
    """
    left = size
    while head or left:
        content = _read(file, min(left, RAW_SIZE - len(head)))
        left -= len(content)
        end = bytes(padding(size)) if not left else b""
        if len(head) + len(content) + len(end) > RAW_SIZE:
            # Only the padding is too much.
            yield head + content, content
            yield end, b""
        else:
            yield head + content + end, content
        head = b""


def _read(file: BinaryIO, size: int) -> bytes:
    parts, left = [], size
    while left:
        part = file.read(left)
        if not part:
            raise _Changed
        parts.append(part)
        left -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
