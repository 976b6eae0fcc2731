"""A bundle that is opened: its volumes in their true order, its manifest, and whose seal it has."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backhaul.bundle.manifest import MANIFEST_SIZE, Manifest
from backhaul.bundle.member import Member
from backhaul.bundle.packing import END_SIZE
from backhaul.bundle.piece import (
    HEADER_SIZE,
    MANIFEST,
    MANIFEST_AGAIN,
    MOST_VOLUMES,
    SIGNATURE,
    SIGNATURE_AGAIN,
    Kind,
    expanded,
    piece_at,
)
from backhaul.bundle.reading import Found, Gap, first_piece, pieces
from backhaul.bundle.seal import signer_of_bundle
from backhaul.errors import BundleIncomplete, NotABundle, UnreadableFile, UsageError
from backhaul.wandblog.identify import describe

_VOLUME_NAME = re.compile(r"(?P<stem>.+)\.(?P<number>\d{3,})")
_COPIES = ((MANIFEST, SIGNATURE), (MANIFEST_AGAIN, SIGNATURE_AGAIN))
_OF_THE_MANIFEST = frozenset(number for copy in _COPIES for number in copy)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle as far as it is here.

    `volumes` are the files by number, `volumes_missing` the numbers of those that are not here, `digest` names this
    bundle (of the manifest). `signer` is the fingerprint of the key that sealed it; None, and `is_whole` False, when
    the end of the bundle is not here: then `manifest` tells only of files that are whole before that.
    """

    volumes: Mapping[int, Path]
    manifest: Manifest
    signer: str | None
    volumes_missing: tuple[int, ...] = ()
    is_whole: bool = True

    @property
    def path(self) -> Path:
        """The file to name it by: its first volume that is here."""
        return self.volumes[min(self.volumes)]

    def pieces(self) -> Iterator[tuple[Path, Found | Gap]]:
        """Everything in it, in order, each with the volume that it is in."""
        for number in sorted(self.volumes):
            for found in pieces(self.volumes[number], bytes.fromhex(self.manifest.bundle)):
                yield self.volumes[number], found


def open_bundle(path: Path, *, partial: bool = False) -> Bundle:
    """Open the bundle that `path` is, or is a volume of; the other volumes lie in the same folder.

    Raises NotABundle, VerificationFailed when its signature does not hold, BundleIncomplete, unless `partial`, when a
    volume or the end is missing, UsageError for one that a newer Backhaul made, UnreadableFile.
    """
    volumes, bundle = _volumes(path)
    end = _end(volumes[max(volumes)], bundle)
    found = _by_the_end(volumes, end) if end is not None else None
    if found is None:
        # No end, or both places that it tells of are hurt: everything is looked at.
        found = _manifest(_everything(volumes, bundle))
    if found is None:
        if not partial:
            raise BundleIncomplete(
                f"{path} ends before its end: it was not copied whole, or its last volume is missing."
            )
        members = tuple(_entries(_everything(volumes, bundle)))
        return Bundle(volumes, Manifest(bundle.hex(), "", "", "", members=members), None, is_whole=False)
    manifest, seal = found
    signer = signer_of_bundle(manifest, seal)
    opened = Manifest.decoded(manifest)
    if opened.bundle != bundle.hex():
        raise NotABundle(f"{path} has the manifest of another bundle.")
    highest = end["volumes"] if end is not None else max(volumes)
    missing = tuple(sorted(set(range(1, highest + 1)) - volumes.keys()))
    if missing and not partial:
        told = ", ".join(_name_of(volumes, number) for number in missing)
        raise BundleIncomplete(f"The bundle has {highest} volumes, and {told} is not here.")
    return Bundle(volumes, opened, signer, missing)


def _volumes(path: Path) -> tuple[dict[int, Path], bytes]:
    """The volumes that lie here by their own numbers, whatever they are called; and the bundle that they are of."""
    try:
        asked = path if path.exists() or not (first := _first_volume(path)) else first
        if not asked.exists():
            raise UsageError(f"There is nothing at {asked}.")
        piece = first_piece(asked)
        if piece is None:
            raise NotABundle(f"{asked} is no bundle: it is {_what(asked)}.")
        volumes = {piece.volume: asked}
        for beside in _beside(asked):
            other = first_piece(beside)
            if other is not None and other.bundle == piece.bundle:
                volumes.setdefault(other.volume, beside)
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror or error}") from error
    return volumes, piece.bundle


def _first_volume(path: Path) -> Path | None:
    """A bundle in volumes, named without the number."""
    return next(iter(sorted(path.parent.glob(f"{_literal(path.name)}.[0-9][0-9][0-9]*"))), None)


def _beside(path: Path) -> Iterable[Path]:
    match = _VOLUME_NAME.fullmatch(path.name)
    if match is None:
        return ()
    named = path.parent.glob(f"{_literal(match['stem'])}.*")
    return sorted(other for other in named if other != path and other.is_file() and _VOLUME_NAME.fullmatch(other.name))


def _literal(name: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", name)


def _what(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(512)
    return describe(head) if head else "empty (0 bytes)"


def _name_of(volumes: Mapping[int, Path], number: int) -> str:
    match = _VOLUME_NAME.fullmatch(next(iter(volumes.values())).name)
    return f"{match['stem']}.{number:03}" if match else f"volume {number}"


def _end(last: Path, bundle: bytes) -> dict[str, Any] | None:
    """What the end of the bundle says; None when the file does not end with it."""
    with last.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - END_SIZE))
        data = file.read()
    piece = piece_at(data)
    if piece is None or piece.kind is not Kind.END or piece.bundle != bundle:
        return None
    try:
        end = json.loads(data[HEADER_SIZE:])
        volumes, places = int(end["volumes"]), [(int(number), int(at)) for number, at in end["manifest"]]
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
    good = 0 < volumes <= MOST_VOLUMES and all(0 <= at < 1 << 63 for _, at in places)
    return {"volumes": volumes, "manifest": places} if good else None


def _by_the_end(volumes: Mapping[int, Path], end: dict[str, Any]) -> tuple[bytes, bytes] | None:
    for number, at in end["manifest"]:
        if number not in volumes:
            continue
        piece = first_piece(volumes[number])
        if piece is not None and (found := _manifest(_from(volumes, piece.bundle, number, at))) is not None:
            return found
    return None


def _from(volumes: Mapping[int, Path], bundle: bytes, number: int, at: int) -> Iterator[Found]:
    """The pieces of the manifest that begin there, and no more."""
    for volume in sorted(other for other in volumes if other >= number):
        for found in pieces(volumes[volume], bundle, at if volume == number else 0):
            if not isinstance(found, Found) or found.piece.member not in _OF_THE_MANIFEST:
                return
            yield found


def _everything(volumes: Mapping[int, Path], bundle: bytes) -> Iterator[Found]:
    for number in sorted(volumes):
        for found in pieces(volumes[number], bundle):
            if isinstance(found, Found):
                yield found


def _manifest(found: Iterable[Found]) -> tuple[bytes, bytes] | None:
    """The manifest and its seal, from the copy of which every piece is there."""
    stretches: dict[int, bytearray] = {number: bytearray() for number in _OF_THE_MANIFEST}
    for each in found:
        piece = each.piece
        if piece.kind is not Kind.PART or piece.member not in stretches:
            continue
        raw = expanded(piece, each.body)
        if raw is not None:
            stretches[piece.member] += raw
        if sum(map(len, stretches.values())) > 3 * MANIFEST_SIZE:
            raise NotABundle("The manifest of the bundle is larger than any that we make.")
    for copy in _COPIES:
        manifest, seal = (_content(bytes(stretches[number])) for number in copy)
        if manifest is not None and seal is not None:
            return manifest, seal
    return None


def _content(member: bytes) -> bytes | None:
    """The one file in a stretch of tar; None when a part of it is missing."""
    try:
        with tarfile.open(fileobj=io.BytesIO(member), mode="r:") as tar:
            info = tar.next()
            file = tar.extractfile(info) if info is not None else None
            content = file.read() if file is not None else None
    except (tarfile.TarError, OSError, ValueError):
        return None
    return content if info is not None and content is not None and len(content) == info.size else None


def _entries(found: Iterable[Found]) -> Iterator[Member]:
    """What the members themselves say of themselves, where the manifest is not to be had."""
    seen: set[str] = set()
    for each in found:
        if each.piece.kind is not Kind.ENTRY:
            continue
        try:
            member = Member.of_json(json.loads(each.body))
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if member.name not in seen:
            seen.add(member.name)
            yield member


def bundles_among(paths: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Which of the paths are bundles, each once however many of its volumes are named, and which are anything else.

    Raises UnreadableFile.
    """
    bundles: dict[bytes, Path] = {}
    others: list[Path] = []
    for path in paths:
        try:
            asked = path if path.exists() else _first_volume(path) or path
            piece = first_piece(asked) if asked.is_file() else None
        except OSError as error:
            raise UnreadableFile(f"{path} cannot be read: {error.strerror or error}") from error
        if piece is None:
            others.append(path)
        else:
            bundles.setdefault(piece.bundle, asked)
    return list(bundles.values()), others
