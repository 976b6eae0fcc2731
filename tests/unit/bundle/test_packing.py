"""Packing: a standard file, made whole or not at all, of files as they are, whatever happens meanwhile."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from backhaul.bundle.manifest import Manifest
from backhaul.bundle.opening import open_bundle
from backhaul.bundle.output import SMALLEST_VOLUME, Output
from backhaul.bundle.packing import MANIFEST_NAME, pack
from backhaul.bundle.piece import HEADER_SIZE, RAW_SIZE, VOLUME_HEAD, Kind
from backhaul.bundle.unpacking import unpack
from backhaul.errors import RunBusy, UsageError
from backhaul.sync.signature import own_fingerprint

from ...command import Backhaul, log_of
from .conftest import Here

_SPLIT = SMALLEST_VOLUME + 100_000
Below = Callable[[Path], dict[str, bytes]]


class Stopped(Exception):
    """Packing was interrupted."""


def _shell(line: str, cwd: Path) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _stopping_at(name_end: str) -> Callable[[str, int], None]:
    def stop(name: str, _size: int) -> None:
        if name.endswith(name_end):
            raise Stopped

    return stop


@pytest.mark.parametrize("split", [None, _SPLIT])
def test_the_systems_own_tar_and_zstd_read_it(here: Here, split: int | None, tmp_path: Path) -> None:
    """`zstd -t` finds it intact, `tar --zstd` lists and extracts it: names and bytes are those that went in."""
    volumes = here.packed(split).volumes
    for volume in volumes:
        _shell(f"zstd -qt '{volume}'; zstd -l '{volume}'", tmp_path)
    out = tmp_path / "by-tar"
    out.mkdir()
    joined = tmp_path / "joined.tar.zst"
    joined.write_bytes(b"".join(volume.read_bytes() for volume in volumes))
    listed = _shell("tar --zstd -tf ../joined.tar.zst; tar -tf ../joined.tar.zst | md5sum >&2", out).splitlines()
    _shell("zstd -dc ../joined.tar.zst | tar xf -", out)
    files = here.files()
    assert set(listed) - set(files) == {name for name in listed if name.startswith("backhaul/")}
    assert {name: (out / name).read_bytes() for name in files} == files
    manifest = Manifest.decoded((out / MANIFEST_NAME).read_bytes())
    assert [member.name for member in manifest.members] == list(files)


def test_volumes_are_smaller_than_was_asked(here: Here) -> None:
    """`--split 4G` has to fit where files must be smaller than 4 GiB. They are numbered, and each begins alike."""
    volumes = here.packed(_SPLIT).volumes
    assert [path.name for path in volumes] == [f"runs.tar.zst.{number:03}" for number in range(1, len(volumes) + 1)]
    assert len(volumes) > 2
    assert all(path.stat().st_size < _SPLIT for path in volumes)
    assert sorted(path.name for path in here.target.parent.iterdir()) == [path.name for path in volumes]


@pytest.mark.parametrize(("over", "volumes"), [(-1, 1), (0, 2)])
def test_a_volume_is_never_as_large_as_was_asked(tmp_path: Path, over: int, volumes: int) -> None:
    """To the byte: the last piece goes into a new volume when with it the size would be reached."""
    left = SMALLEST_VOLUME - len(VOLUME_HEAD) - RAW_SIZE - 2 * HEADER_SIZE + over
    with Output(tmp_path / "b", SMALLEST_VOLUME) as output:
        output.add(Kind.PART, bytes(RAW_SIZE), member=0)
        output.add(Kind.PART, bytes(left), member=0)
        made = output.finish()
    assert len(made) == volumes
    assert max(path.stat().st_size for path in made) < SMALLEST_VOLUME


def test_volumes_too_small_for_a_piece_are_refused(here: Here) -> None:
    """Nothing is made then."""
    with pytest.raises(UsageError, match="too small"):
        here.packed(SMALLEST_VOLUME - 1)
    assert list(here.target.parent.iterdir()) == []


@pytest.mark.parametrize("taken", ["runs.tar.zst", "runs.tar.zst.001", "runs.tar.zst.007"])
def test_nothing_is_written_over(here: Here, taken: str) -> None:
    """A file of the bundle's name, or of a volume's, stays, and nothing is left beside it."""
    (here.target.parent / taken).write_text("mine")
    for split in (None, _SPLIT):
        with pytest.raises(UsageError, match="exists already"):
            here.packed(split)
    assert [(path.name, path.read_text()) for path in here.target.parent.iterdir()] == [(taken, "mine")]


def test_it_is_signed_with_the_users_key(here: Here) -> None:
    """The fingerprint that packing tells is the one that receipts have, and the one that opening finds."""
    packed = here.packed()
    assert packed.signer == own_fingerprint(here.state) == open_bundle(here.target).signer


@pytest.mark.parametrize("split", [None, _SPLIT])
@pytest.mark.parametrize("where", ["c.bin", "exact.bin", "requirements.txt"])
def test_an_interrupted_packing_goes_on(
    here: Here, below: Below, split: int | None, where: str, tmp_path: Path
) -> None:
    """Nothing of the bundle's name is there meanwhile; what was packed is used, and the bundle is whole."""
    with pytest.raises(Stopped):
        pack(here.contents(), here.target, here.state, split=split, on_progress=_stopping_at(where))
    assert [path.name for path in here.target.parent.iterdir()] == [".runs.tar.zst.unfinished"]
    packed = here.packed(split)
    assert packed.kept > 0
    unpacked = unpack(open_bundle(packed.volumes[0]), tmp_path / "un")
    assert (unpacked.error, below(tmp_path / "un")) == (None, here.files())
    assert sorted(path.name for path in here.target.parent.iterdir()) == [path.name for path in packed.volumes]


def test_what_changed_since_the_interruption_is_packed_anew(here: Here, below: Below, tmp_path: Path) -> None:
    """From the first file that is another now, nothing old is used; nor is anything when the end was cut off."""
    with pytest.raises(Stopped):
        pack(here.contents(), here.target, here.state, on_progress=_stopping_at("exact.bin"))
    left = here.target.with_name(".runs.tar.zst.unfinished") / "001"
    with left.open("r+b") as file:
        file.truncate(left.stat().st_size - 10)
    changed = next(here.top.glob("work/wandb/*/files/a.bin"))
    changed.write_bytes(b"other")
    packed = here.packed()
    assert 0 < packed.kept < [name.endswith("a.bin") for name in here.files()].index(True) + 1
    unpack(open_bundle(here.target), tmp_path / "un")
    assert below(tmp_path / "un") == here.files()


def test_damage_in_what_was_left_over_is_noticed(here: Here, below: Below, tmp_path: Path) -> None:
    """A power cut may leave anything in the file: only pieces whose checksums hold are used."""
    with pytest.raises(Stopped):
        pack(here.contents(), here.target, here.state, on_progress=_stopping_at("exact.bin"))
    left = here.target.with_name(".runs.tar.zst.unfinished") / "001"
    content = bytearray(left.read_bytes())
    content[len(content) // 2 :][:4096] = bytes(4096)
    left.write_bytes(content[: len(content) // 2] + bytes(4096) + content[len(content) // 2 + 4096 :])
    here.packed()
    assert unpack(open_bundle(here.target), tmp_path / "un").error is None
    assert below(tmp_path / "un") == here.files()


def test_another_call_with_other_runs_does_not_use_them(here: Here, below: Below, tmp_path: Path) -> None:
    """What an interrupted call left under the same name is taken only as far as it belongs into this bundle."""
    with pytest.raises(Stopped):
        pack(here.contents(), here.target, here.state, on_progress=_stopping_at("c.bin"))
    second = sorted((here.top / "work" / "wandb").iterdir())[0]
    contents = here.contents(str(second))
    pack(contents, here.target, here.state)
    unpack(open_bundle(here.target), tmp_path / "un")
    assert below(tmp_path / "un") == {name: source.path.read_bytes() for name, source in contents.sources.items()}


def test_two_at_once_do_not_mix(here: Here) -> None:
    """The second one is told, and the first is not disturbed."""

    def pack_too(_name: str, _size: int) -> None:
        with pytest.raises(RunBusy):
            here.packed()

    pack(here.contents(), here.target, here.state, on_progress=pack_too)
    assert open_bundle(here.target).is_whole


def _killed_between_names(here: Here, cut_at: str) -> tuple[tuple[Path, ...], Path]:
    """The volumes, of which the first alone has its name, and the folder in which the others are (and it too)."""
    volumes = here.packed(_SPLIT).volumes
    unfinished = here.target.with_name(".runs.tar.zst.unfinished")
    unfinished.mkdir()
    for number, volume in enumerate(volumes, start=1):
        if number > 1:
            volume.rename(unfinished / f"{number:03}")
        elif cut_at == "both names":
            (unfinished / "001").hardlink_to(volume)
    return volumes, unfinished


@pytest.mark.parametrize("cut_at", ["named", "both names"])
def test_a_named_volume_is_hidden_when_it_changes(here: Here, below: Below, cut_at: str, tmp_path: Path) -> None:
    """Killed between two names, and then a run changed: no volume keeps a name under which it is written."""
    _, unfinished = _killed_between_names(here, cut_at)
    next(here.top.glob("work/wandb/*-rec-0223/files/requirements.txt")).write_text("other")
    with pytest.raises(Stopped):
        pack(here.contents(), here.target, here.state, split=_SPLIT, on_progress=_stopping_at("c.bin"))
    assert [path.name for path in here.target.parent.iterdir()] == [unfinished.name]
    assert unpack(open_bundle(here.packed(_SPLIT).volumes[0]), tmp_path / "un").error is None
    assert below(tmp_path / "un") == here.files()


@pytest.mark.parametrize("cut_at", ["named", "both names"])
def test_killed_between_two_names_it_gives_the_others(here: Here, below: Below, cut_at: str, tmp_path: Path) -> None:
    """The last volume gets its name last, so nothing looks whole before; the next call ends it."""
    volumes, unfinished = _killed_between_names(here, cut_at)
    packed = here.packed(_SPLIT)
    assert (packed.volumes, packed.kept) == (volumes, len(packed.manifest.members))
    assert not unfinished.exists()
    assert unpack(open_bundle(volumes[0]), tmp_path / "un").error is None
    assert below(tmp_path / "un") == here.files()


def test_a_log_that_grows_is_packed_as_it_was(here: Here, tmp_path: Path) -> None:
    """Of a run that goes on the bundle has the records that were whole; it says so, and nothing is torn."""
    log = log_of(next(here.top.glob("work/wandb/*-rec-0310")))
    before = log.read_bytes()

    def grow(name: str, _size: int) -> None:
        if name.endswith(log.name):
            with log.open("ab") as file:
                file.write(b"more")

    packed = pack(here.contents(), here.target, here.state, on_progress=grow)
    run = next(run for run in packed.manifest.runs if run.log == log.name)
    assert run.recording
    unpack(open_bundle(here.target), tmp_path / "un")
    assert (tmp_path / "un" / run.log_member).read_bytes() == before
    assert (tmp_path / "un" / f"{run.log_member}.recording").exists()


def test_a_file_that_changes_is_packed_as_it_is_then_or_named(here: Here, below: Below, tmp_path: Path) -> None:
    """One change while it is read costs a second reading; one that never rests is named as missing."""
    once, always = (next(here.top.glob(f"work/wandb/*/files/{name}")) for name in ("a.bin", "c.bin"))
    touched: list[str] = []

    def change(name: str, _size: int) -> None:
        if name.endswith("/c.bin") or (name.endswith("/a.bin") and "a" not in touched):
            touched.append(name[-5])
            path = always if name.endswith("c.bin") else once
            path.write_bytes(path.read_bytes() + b"x")

    packed = pack(here.contents(), here.target, here.state, on_progress=change)
    (missing,) = packed.manifest.missing
    assert (missing.path, missing.needed) == (str(always), True)
    assert "again and again" in missing.reason
    assert unpack(open_bundle(here.target), tmp_path / "un").error is None
    files = {name: file for name, file in here.files().items() if not name.endswith("c.bin")}
    assert below(tmp_path / "un") == files
    # What was begun and given up stands in nobody's way, whatever program reads it.
    listed = _shell(f"zstd -dc '{here.target}' | tar tf -", tmp_path).splitlines()
    assert [name for name in listed if not name.startswith("backhaul/")] == list(files)


def test_what_vanishes_or_is_no_file_is_named(here: Here) -> None:
    """A pipe is not waited for; a file that is gone by the time it is its turn is missing, and the rest is there."""
    contents = here.contents()
    gone, pipe = (next(here.top.glob(f"work/wandb/*/files/{name}")) for name in ("a.bin", "c.bin"))
    gone.unlink()
    pipe.unlink()
    os.mkfifo(pipe)
    packed = pack(contents, here.target, here.state)
    assert {Path(item.path).name for item in packed.manifest.missing} == {"a.bin", "c.bin"}
    assert len(packed.manifest.members) == len(contents.sources) - 2


def test_names_of_any_bytes_come_through(here: Here, below: Below, tmp_path: Path) -> None:
    """Names that are long, not English, or not even UTF-8 stay what they are, for `tar` too."""
    files = next(here.top.glob("work/wandb/*/files"))
    for name in ("größe ☃.txt", os.fsdecode(b"latin-\xe9.txt"), "x" * 250, "new\nline", "[markup]"):
        (files / name).write_text(name, errors="surrogateescape")
    here.packed()
    assert unpack(open_bundle(here.target), tmp_path / "un").error is None
    assert below(tmp_path / "un") == here.files()
    _shell(f"zstd -qd '{here.target}' -o plain.tar", tmp_path)
    with tarfile.open(tmp_path / "plain.tar") as tar:
        assert set(tar.getnames()) > set(here.files())


def test_a_full_disk_is_told_and_gone_on_from(here: Here, backhaul: Backhaul) -> None:
    """Three sentences, exit 5; what was packed is kept, and the same command goes on when there is room."""
    line = ("pack", here.top / "work", "-o", here.target, "--json")
    full = backhaul(*line, prefix=("prlimit", "--fsize=4500000"))
    assert (full.exit_code, full.document["error"]["code"]) == (5, "disk-full")
    assert [path.name for path in here.target.parent.iterdir()] == [".runs.tar.zst.unfinished"]
    done = backhaul(*line)
    assert (done.exit_code, done.document["kept"] > 0) == (0, True)


def test_a_place_that_is_not_there_is_told(here: Here) -> None:
    """Where nothing can be made, the error names the place."""
    shutil.rmtree(here.target.parent)
    with pytest.raises(UsageError, match=r"runs\.tar\.zst"):
        here.packed()
