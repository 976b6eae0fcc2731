"""Opening: what is no bundle, not whole, in disorder or changed is told, and nothing is believed that is not proved."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from backhaul.bundle.manifest import Manifest
from backhaul.bundle.member import padding, tar_head
from backhaul.bundle.opening import bundles_among, open_bundle
from backhaul.bundle.output import SMALLEST_VOLUME
from backhaul.bundle.packing import END_BODY, END_SIZE, pack
from backhaul.bundle.piece import MANIFEST, MANIFEST_AGAIN, TAR_END, Kind, compressed, piece_bytes
from backhaul.bundle.reading import Found, pieces
from backhaul.bundle.seal import check_signer, seal_of
from backhaul.bundle.unpacking import unpack
from backhaul.errors import BundleIncomplete, NotABundle, UnknownSigner, UnreadableFile, UsageError, VerificationFailed

from .conftest import Here

_SPLIT = SMALLEST_VOLUME + 100_000


def _hurt(path: Path, *places: int) -> None:
    content = bytearray(path.read_bytes())
    for at in places:
        content[at] ^= 0x40
    path.write_bytes(content)


def _pieces(path: Path) -> list[Found]:
    bundle = bytes.fromhex(open_bundle(path).manifest.bundle)
    return [found for found in pieces(path, bundle) if isinstance(found, Found)]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty"),
        (b"PK\x03\x04 and so on", "a zip archive"),
        (compressed(b"only compressed", 3), "zstandard-compressed data"),
        (random.Random(3).randbytes(5_000_000), "unknown content"),
        (bytes(3_000_000), "nothing but zero bytes"),
    ],
)
def test_what_is_no_bundle_is_told_for_what_it_is(tmp_path: Path, content: bytes, told: str) -> None:
    """The error says what the file is instead."""
    path = tmp_path / "file.tar.zst"
    path.write_bytes(content)
    assert bundles_among([path]) == ([], [path])
    with pytest.raises(NotABundle, match=told):
        open_bundle(path)


def test_a_path_with_nothing_is_told(here: Here) -> None:
    """And a folder is no bundle either."""
    with pytest.raises(UsageError, match="nothing at"):
        open_bundle(here.target)
    with pytest.raises(UnreadableFile):
        open_bundle(here.top)


def test_a_bundle_cut_anywhere_is_incomplete(here: Here, tmp_path: Path) -> None:
    """However much of it is missing at the end; with `partial` the files before that come out as they went in."""
    here.packed()
    whole, files = here.target.read_bytes(), here.files()
    chance = random.Random(11)
    for length in [
        len(whole) - 1,
        len(whole) - END_SIZE - 9,
        *(chance.randrange(80_000, len(whole)) for _ in range(4)),
    ]:
        cut = tmp_path / f"cut-{length}"
        cut.write_bytes(whole[:length])
        # The last bytes are only the end's; the manifest is still there, by which everything is known.
        if length > len(whole) - END_SIZE - 10:
            assert len(open_bundle(cut).manifest.members) == len(files)
            continue
        with pytest.raises(BundleIncomplete):
            open_bundle(cut)
        bundle = open_bundle(cut, partial=True)
        assert (bundle.is_whole, bundle.signer) == (False, None)
        done = unpack(bundle, tmp_path / f"un-{length}")
        assert (done.damaged, len(done.written)) == ({}, len(bundle.manifest.members))
        assert {name: (tmp_path / f"un-{length}" / name).read_bytes() for name in done.written}.items() <= files.items()


def test_volumes_are_put_in_order_by_their_content(here: Here, tmp_path: Path) -> None:
    """Whatever they were renamed to, and whichever is named; those of another bundle beside them do not count."""
    first = here.packed(_SPLIT).volumes
    other = pack(here.contents(), here.target.with_name("other.tar.zst"), here.state, split=_SPLIT).volumes
    for path in first:
        path.rename(path.with_name(f"mixed.{900 - int(path.suffix[1:])}"))
    for path in other:
        path.rename(path.with_name(f"mixed.{path.suffix[1:]}"))
    for named in sorted(here.target.parent.iterdir()):
        bundle = open_bundle(named)
        assert list(map(len, (bundle.volumes, bundle.volumes_missing))) == [len(first), 0]
        assert (named.name[6] == "8") == all(path.name[6] == "8" for path in bundle.volumes.values())
    assert unpack(open_bundle(here.target.with_name("mixed.899")), tmp_path / "un").error is None


def test_a_bundle_in_volumes_may_be_named_without_the_number(here: Here) -> None:
    """That is how the user named it when it was packed."""
    assert len(open_bundle(here.packed(_SPLIT).volumes[0].with_suffix("")).volumes) > 2


def test_paths_are_told_apart(here: Here, tmp_path: Path) -> None:
    """Any volume, several of them, or the name without a number are one bundle; everything else is something else."""
    volumes = here.packed(_SPLIT).volumes
    other = pack(here.contents(), here.target.with_name("other"), here.state).volumes[0]
    log, folder = next(here.top.rglob("*.wandb")), tmp_path / "work"
    paths = [log, volumes[1], volumes[0], folder, other, here.target, tmp_path / "nowhere"]
    assert bundles_among(paths) == ([volumes[1], other], [log, folder, tmp_path / "nowhere"])
    assert bundles_among([here.target]) == ([volumes[0]], [])


@pytest.mark.parametrize("volumes", [b"999999999999999", b"-1", b'"x"', b"1e999"])
def test_an_end_that_makes_no_sense_is_not_believed(here: Here, volumes: bytes) -> None:
    """Nobody has signed it: the manifest is looked for, and no number in it costs anything."""
    here.packed()
    *_, end = _pieces(here.target)
    body = end.body.replace(b'"volumes": 1', b'"volumes": ' + volumes)[:END_BODY].ljust(END_BODY)
    bundle = bytes.fromhex(open_bundle(here.target).manifest.bundle)
    piece = piece_bytes(Kind.END, volume=1, member=TAR_END, bundle=bundle, body=body)
    here.target.write_bytes(here.target.read_bytes()[: end.at] + piece)
    assert len(open_bundle(here.target).manifest.members) == len(here.files())


@pytest.mark.parametrize("gone", ["first", "second", "last"])
def test_a_missing_volume_is_named(here: Here, tmp_path: Path, gone: str) -> None:
    """It is refused, and the volume named where that can be known; `partial` takes every file that is not in it."""
    volumes = here.packed(_SPLIT).volumes
    lost = volumes[{"first": 0, "second": 1, "last": -1}[gone]]
    lost.unlink()
    left = next(path for path in volumes if path.exists())
    with pytest.raises(BundleIncomplete, match="last volume" if gone == "last" else lost.name):
        open_bundle(left)
    done = unpack(open_bundle(left, partial=True), tmp_path / "un")
    files = here.files()
    assert done.written
    assert len(done.written) < len(files)
    assert {name: (tmp_path / "un" / name).read_bytes() for name in done.written}.items() <= files.items()
    assert gone == "last" or set(done.damaged) == set(files) - set(done.written)


@pytest.mark.parametrize("hurt", ["first copy", "end", "first copy and end", "head"])
def test_no_single_place_is_needed(here: Here, hurt: str, tmp_path: Path) -> None:
    """The manifest is there twice, the end only shows the way to it, and the head is for other programs."""
    here.packed()
    found = _pieces(here.target)
    manifest = next(each for each in found if each.piece.member == MANIFEST)
    places = {"first copy": [manifest.at + 100], "end": [found[-1].at + 70], "head": [0, 5, 30]}
    places["first copy and end"] = places["first copy"] + places["end"]
    _hurt(here.target, *places[hurt])
    bundle = open_bundle(here.target)
    assert bundle.signer is not None
    assert [member.name for member in bundle.manifest.members] == list(here.files())
    if hurt != "head":
        assert unpack(bundle, tmp_path / "un").error is None


def test_without_any_manifest_files_tell_of_themselves(here: Here, tmp_path: Path) -> None:
    """When both copies are hurt every file is still there, and comes out with `partial`, unsigned."""
    here.packed()
    _hurt(
        here.target, *(each.at + 90 for each in _pieces(here.target) if each.piece.member in (MANIFEST, MANIFEST_AGAIN))
    )
    with pytest.raises(BundleIncomplete):
        open_bundle(here.target)
    done = unpack(open_bundle(here.target, partial=True), tmp_path / "un")
    assert sorted(done.written) == sorted(here.files())


def _forged(here: Here, manifest: bytes, seal: bytes) -> Path:
    """A bundle whose manifest and seal are these: checksums and all."""
    bundle = open_bundle(here.target)
    number = bytes.fromhex(bundle.manifest.bundle)
    parts: list[bytes] = []
    for each in _pieces(here.target):
        if each.piece.member < MANIFEST:
            parts.append(here.target.read_bytes()[each.at : each.end])
    for member, content in enumerate((manifest, seal), start=MANIFEST):
        raw = tar_head(f"forged/{member}", len(content), 0) + content + bytes(padding(len(content)))
        for at in range(0, len(raw), 1 << 20):
            body = compressed(raw[at : at + (1 << 20)], 3)
            piece = {"volume": 1, "member": member, "bundle": number, "raw_size": len(raw[at : at + (1 << 20)])}
            parts.append(piece_bytes(Kind.PART, body=body, **piece))
    parts.append(piece_bytes(Kind.PART, volume=1, member=TAR_END, bundle=number, body=compressed(b"", 3)))
    forged = here.target.with_name("forged.tar.zst")
    forged.write_bytes(b"".join(parts))
    return forged


def test_a_changed_manifest_does_not_pass(here: Here) -> None:
    """Whoever changes it without the key breaks the signature; who signs it anew has another fingerprint."""
    here.packed()
    manifest = open_bundle(here.target).manifest
    encoded = manifest.encoded()
    changed = encoded.replace(b'"project": "', b'"project": "evil-')
    assert changed != encoded
    with pytest.raises(VerificationFailed):
        open_bundle(_forged(here, changed, seal_of(encoded, here.state)))
    with pytest.raises(VerificationFailed):
        open_bundle(_forged(here, changed, b"{}"))
    own = open_bundle(_forged(here, encoded, seal_of(encoded, here.state)))
    others = open_bundle(_forged(here, changed, seal_of(changed, here.top / "other")))
    assert own.signer == open_bundle(here.target).signer != others.signer
    check_signer(own.signer, own.signer)
    for signer in (others.signer, None):
        with pytest.raises(UnknownSigner):
            check_signer(signer, own.signer)
    check_signer(others.signer, None)


def _manifests(manifest: Manifest) -> Sequence[bytes]:
    name = manifest.members[0].name.encode()
    encoded = manifest.encoded()
    return [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b"\xff\xfe",
        *(
            encoded.replace(name, bad)
            for bad in (b"../../etc/passwd", b"/etc/passwd", b"a//b", b"", b".", b"a/../../b")
        ),
        encoded.replace(b'"size": ', b'"size": -'),
        encoded.replace(b'"size": ', b'"size": 1e999, "x": '),
        encoded.replace(b'"was": "', b'"was": 7, "x": "'),
        encoded.replace(b'"mtime_ns": ', b'"mtime_ns": 1e999, "x": '),
        encoded.replace(b'"mtime_ns": ', b'"mtime_ns": 9999999999'),
        encoded.replace(b'"at": "wandb"', b'"at": "../wandb"'),
        encoded.replace(name, b"nul\\u0000byte"),
        encoded.replace(manifest.members[1].name.encode(), name),
    ]


def test_a_manifest_that_makes_no_sense_is_no_manifest(here: Here) -> None:
    """However it was signed: names that lead elsewhere, numbers that are none, names twice, no JSON at all."""
    here.packed()
    manifest = open_bundle(here.target).manifest
    for bad in _manifests(manifest):
        with pytest.raises(NotABundle):
            open_bundle(_forged(here, bad, seal_of(bad, here.state)))


def test_a_newer_form_is_told(here: Here) -> None:
    """It may well be good; this version cannot know."""
    here.packed()
    newer = open_bundle(here.target).manifest.encoded().replace(b'"form": 1', b'"form": 2')
    with pytest.raises(UsageError, match="newer Backhaul"):
        open_bundle(_forged(here, newer, seal_of(newer, here.state)))
