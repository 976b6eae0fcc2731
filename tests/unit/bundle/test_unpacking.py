"""Unpacking: a flipped byte costs the file that it hits and names it; nothing outside is touched, nothing replaced."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from backhaul.bundle.member import Member
from backhaul.bundle.opening import Bundle, open_bundle
from backhaul.bundle.output import SMALLEST_VOLUME
from backhaul.bundle.piece import TAR_END
from backhaul.bundle.reading import Found
from backhaul.bundle.unpacking import unpack
from backhaul.errors import BundleDamaged, DiskFull, UsageError

from .conftest import Here

Below = Callable[[Path], dict[str, bytes]]


def _owner(bundle: Bundle, at: int) -> str | None:
    """The file of which a piece covers this byte of the volume; None for a place that belongs to none."""
    names = {member.number: member.name for member in bundle.manifest.members}
    for _, found in bundle.pieces():
        if isinstance(found, Found) and found.at <= at < found.end:
            return names.get(found.piece.member) if found.piece.kind.name == "PART" else None
    return None


def test_a_flipped_byte_names_the_file_that_it_hit(here: Here, below: Below, tmp_path: Path) -> None:
    """By seed, anywhere: that one file is left out and named with the place, every other one is as it was packed."""
    here.packed()
    whole, files = here.target.read_bytes(), here.files()
    intact = open_bundle(here.target)
    chance = random.Random(2026)
    hit = 0
    # Spread over the whole bundle, and over its small pieces, where heads, entries and manifests are.
    places = [chance.randrange(len(whole)) for _ in range(12)] + [chance.randrange(200_000) for _ in range(6)]
    places += [len(whole) - chance.randrange(1, 9_000) for _ in range(12)]
    for number, at in enumerate(places):
        hurt = bytearray(whole)
        hurt[at] ^= 1 << chance.randrange(8)
        here.target.write_bytes(hurt)
        folder = tmp_path / f"un-{number}"
        done = unpack(open_bundle(here.target), folder)
        owner = _owner(intact_at(intact, whole, here), at)
        here.target.write_bytes(hurt)
        assert set(done.damaged) == ({owner} if owner else set()), at
        assert all(f"{here.target.name} at byte " in reason for reason in done.damaged.values())
        assert below(folder) == {name: content for name, content in files.items() if name != owner}
        if owner is not None:
            hit += 1
            assert isinstance(done.error, BundleDamaged)
            assert owner in done.error.message
        else:
            assert done.error is None
    assert hit > 10


def intact_at(bundle: Bundle, whole: bytes, here: Here) -> Bundle:
    """The bundle again over its undamaged bytes."""
    here.target.write_bytes(whole)
    return bundle


def test_a_lost_stretch_costs_the_files_in_it(here: Here, below: Below, tmp_path: Path) -> None:
    """A bad sector, bytes that fell out, bytes that came in: reading goes on with the next piece."""
    here.packed()
    whole, files = here.target.read_bytes(), here.files()
    at = len(whole) // 3
    for number, hurt in enumerate(
        (
            whole[:at] + bytes(100_000) + whole[at + 100_000 :],
            whole[:at] + whole[at + 5_000 :],
            whole[:at] + b"stray" * 1000 + whole[at:],
        )
    ):
        here.target.write_bytes(hurt)
        done = unpack(open_bundle(here.target), tmp_path / f"un-{number}")
        assert 1 <= len(done.damaged) <= 2
        assert below(tmp_path / f"un-{number}") == {
            name: content for name, content in files.items() if name not in done.damaged
        }


def test_a_bundle_within_a_bundle_does_not_confuse(here: Here, below: Below, tmp_path: Path) -> None:
    """A payload that is itself a bundle has pieces of its own; behind damage they are not taken for this one's."""
    inner = here.packed().volumes[0]
    inner.rename(next(here.top.glob("work/wandb/*/files")) / "inner.tar.zst")
    here.packed()
    content = bytearray(here.target.read_bytes())
    bundle = open_bundle(here.target)
    member = next(each for each in bundle.manifest.members if each.name.endswith("inner.tar.zst"))
    first = next(
        found for _, found in bundle.pieces() if isinstance(found, Found) and found.piece.member == member.number
    )
    content[first.at + 20] ^= 1
    here.target.write_bytes(content)
    done = unpack(open_bundle(here.target), tmp_path / "un")
    assert set(done.damaged) == {member.name}
    assert below(tmp_path / "un") == {name: file for name, file in here.files().items() if name != member.name}


def test_unpacking_again_finds_what_is_there(here: Here, tmp_path: Path) -> None:
    """So an interrupted unpacking goes on; what came out whole is not written a second time."""
    here.packed()
    first = unpack(open_bundle(here.target), tmp_path / "un")
    lost = tmp_path / "un" / first.written[3]
    lost.unlink()
    again = unpack(open_bundle(here.target), tmp_path / "un")
    assert (again.written, len(again.present), again.error) == ([first.written[3]], len(first.written) - 1, None)


def test_times_come_back(here: Here, tmp_path: Path) -> None:
    """To the nanosecond: by them the ledger knows a log."""
    here.packed()
    unpack(open_bundle(here.target), tmp_path / "un")
    for name, source in here.contents().sources.items():
        assert (tmp_path / "un" / name).stat().st_mtime_ns == source.path.stat().st_mtime_ns


def test_nothing_that_is_there_is_replaced(here: Here, below: Below, tmp_path: Path) -> None:
    """Another file, a folder, a link, and a file where a folder should be: all stay, and are named."""
    here.packed()
    files = here.files()
    a, b, c = (next(name for name in files if name.endswith(end)) for end in ("a.bin", "c.bin", "b/small.txt"))
    secret = tmp_path / "secret"
    secret.write_text("secret")
    folder = tmp_path / "un"
    (folder / a).parent.mkdir(parents=True)
    (folder / a).write_text("mine")
    (folder / b).symlink_to(secret)
    (folder / c).parent.write_text("a file where the folder should be")
    done = unpack(open_bundle(here.target), folder)
    beside = {name for name in files if name.startswith(c.rpartition("/")[0])}
    assert set(done.taken) == {a, b, *beside}
    assert isinstance(done.error, UsageError)
    assert ((folder / a).read_text(), secret.read_text()) == ("mine", "secret")
    others = {name: content for name, content in files.items() if name not in done.taken}
    assert below(folder).items() >= others.items()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_link_on_the_way_leads_nowhere(here: Here, tmp_path: Path, depth: int) -> None:
    """A link to a folder outside, at any depth, is not gone through."""
    here.packed()
    outside, folder = tmp_path / "victim", tmp_path / "un"
    outside.mkdir()
    name = next(name for name in here.files() if name.endswith("a.bin"))
    link = folder.joinpath(*name.split("/")[:depth])
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    done = unpack(open_bundle(here.target), folder)
    assert name in done.taken
    assert list(outside.iterdir()) == []


def test_a_link_put_there_meanwhile_leads_nowhere(here: Here, tmp_path: Path) -> None:
    """Between the look and the writing the folder is swapped for a link: the file is not written through it."""
    here.packed()
    outside, folder = tmp_path / "victim", tmp_path / "un"
    outside.mkdir()

    def swap(name: str, _size: int) -> None:
        files = folder / name.partition("/files/")[0] / "files"
        if name.endswith("a.bin") and files.is_dir() and not files.is_symlink():
            files.rename(tmp_path / "swapped")
            files.symlink_to(outside)

    done = unpack(open_bundle(here.target), folder, on_progress=swap)
    assert any(name.endswith("c.bin") for name in done.taken)
    assert list(outside.iterdir()) == []


def _member(name: str, size: int, number: int = 0) -> Member:
    return Member(number, name, size, "0" * 64, 0, "/source", 0)


def test_what_would_not_fit_is_refused_before_anything_is_written(here: Here, tmp_path: Path) -> None:
    """A manifest may promise any size: nobody writes until there is no room left."""
    here.packed()
    bundle = open_bundle(here.target)
    huge = replace(bundle, manifest=replace(bundle.manifest, members=(_member("wandb/huge", 1 << 60),)))
    with pytest.raises(DiskFull, match=str(1 << 60)):
        unpack(huge, tmp_path / "un")
    assert list((tmp_path / "un").iterdir()) == []


def test_a_content_that_is_not_what_the_manifest_says_is_left_out(here: Here, tmp_path: Path) -> None:
    """Another name, size or digest in the manifest than in the tar: none of it comes out, and all is named."""
    here.packed()
    bundle = open_bundle(here.target)
    first, second, third, *rest = bundle.manifest.members
    members = (
        replace(first, name="wandb/renamed"),
        replace(second, size=max(0, second.size - 1)),
        replace(third, sha256="f" * 64),
        *rest,
    )
    done = unpack(replace(bundle, manifest=replace(bundle.manifest, members=members)), tmp_path / "un")
    assert set(done.damaged) == {"wandb/renamed", second.name, third.name}
    assert len(done.written) == len(rest)
    assert not any(path.name.endswith(".part") for path in (tmp_path / "un").rglob("*"))


def test_the_end_of_the_tar_is_no_file(here: Here) -> None:
    """Numbers of members that are not files are never those of one."""
    assert TAR_END not in {member.number for member in here.packed().manifest.members}


def test_volumes_are_read_through(here: Here, below: Below, tmp_path: Path) -> None:
    """A file that lies in two volumes comes out whole; a byte flipped in the second costs that file only."""
    volumes = here.packed(SMALLEST_VOLUME + 100_000).volumes
    done = unpack(open_bundle(volumes[0]), tmp_path / "un")
    assert (done.error, below(tmp_path / "un")) == (None, here.files())
    content = bytearray(volumes[1].read_bytes())
    content[500_000] ^= 1
    volumes[1].write_bytes(content)
    hurt = unpack(open_bundle(volumes[0]), tmp_path / "hurt")
    assert len(hurt.damaged) == 1
    assert all(volumes[1].name in reason for reason in hurt.damaged.values())


def test_a_file_in_place_of_the_first_folder_is_left(here: Here, tmp_path: Path) -> None:
    """Then no file of the runs can come out, and every one is named."""
    here.packed()
    folder = tmp_path / "un"
    folder.mkdir()
    (folder / "wandb").write_text("no folder")
    done = unpack(open_bundle(here.target), folder)
    assert sorted(done.taken) == sorted(here.files())
    assert (folder / "wandb").read_text() == "no folder"
