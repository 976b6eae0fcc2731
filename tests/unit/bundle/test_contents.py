"""What goes into a bundle: everything that a sync would want, wherever it lies; the rest is named."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from base64 import b64encode
from pathlib import Path

import pytest
import xxhash

from backhaul.bundle.contents import Contents, contents_of, refuse_inside
from backhaul.bundle.manifest import Root
from backhaul.bundle.named import named_by
from backhaul.bundle.opening import open_bundle
from backhaul.bundle.packing import pack
from backhaul.bundle.unpacking import unpack
from backhaul.errors import UsageError
from backhaul.runs.artifacts import artifact_of
from backhaul.runs.content_places import content_places
from backhaul.runs.directory import RunDirectory
from backhaul.wandblog.chunk import FILE_HEADER
from backhaul.wandblog.schema import Record
from backhaul.wandblog.writer import LogWriter

from ...command import OBEYING_PERMISSIONS, Backhaul, copy_of, log_of


def _xxh128(content: bytes) -> str:
    return b64encode(xxhash.xxh128(content).digest()).decode()


def _md5(content: bytes) -> str:
    return b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory whose log each test writes."""
    folder = tmp_path / "work" / "wandb" / "offline-run-20260101_000000-made"
    (folder / "files").mkdir(parents=True)
    return folder


def _log(run: Path, *records: Record) -> RunDirectory:
    log = run / "run-made.wandb"
    first = Record()
    first.run.run_id = "made"
    with log.open("wb") as file:
        writer = LogWriter(file)
        for number, record in enumerate((first, *records), start=1):
            record.num = number
            writer.write(record.SerializeToString())
    return RunDirectory(run, log)


def _artifact(*entries: dict[str, object], listed: Path | None = None) -> Record:
    record = Record()
    record.artifact.name = "data"
    if listed is not None:
        record.artifact.manifest.manifest_file_path = str(listed)
    for entry in entries:
        added = record.artifact.manifest.contents.add()
        extra = entry.pop("extra", {})
        for key, value in entry.items():
            setattr(added, key, value)
        for key, value in extra.items():  # type: ignore[attr-defined]
            part = added.extra.add()
            part.key, part.value_json = key, json.dumps(value)
    return record


def _contents(directory: RunDirectory, *, references: bool = True) -> Contents:
    return contents_of([directory], {}, directory.path / "home", references=references)


def test_payloads_come_along_from_wherever_they_lie(run: Path, tmp_path: Path) -> None:
    """Staged contents, those at their own place, those with another digest; a manifest's list; local references."""
    for name in ("staged", "own place", "xxh", "referred"):
        (tmp_path / name).write_bytes(name.encode())
    listed = tmp_path / "list.jl.gz"
    entry = {"path": "e", "digest": _md5(b"own place"), "size": 9, "local_path": str(tmp_path / "own place")}
    listed.write_bytes(gzip.compress(json.dumps(entry).encode() + b"\n"))
    directory = _log(
        run,
        _artifact(
            {"path": "a", "digest": _md5(b"staged"), "size": 6, "local_path": str(tmp_path / "staged")},
            {
                "path": "b",
                "digest": _xxh128(b"xxh"),
                "size": 3,
                "local_path": str(tmp_path / "xxh"),
                "extra": {"alg": "XXH128"},
            },
            {"path": "c", "digest": "etag", "ref": f"file://{tmp_path}/referred"},
            {"path": "d", "digest": "etag", "ref": "s3://bucket/key"},
        ),
        _artifact(listed=listed),
    )
    contents = _contents(directory)
    assert contents.missing == []
    packed = {name: source.path for name, source in contents.sources.items() if name.startswith("payloads")}
    names = ("staged", "xxh", "referred", "list.jl.gz", "own place")
    assert packed == {f"payloads{tmp_path}/{name}": tmp_path / name for name in names}
    assert Root("payloads", "/") in contents.roots
    without = _contents(directory, references=False).sources
    assert set(contents.sources) - set(without) == {f"payloads{tmp_path}/referred"}


def test_everything_is_found_again_where_it_was_unpacked(run: Path, tmp_path: Path) -> None:
    """With the original gone, each content is found in the unpacked bundle, and nowhere else on that machine."""
    for name in ("staged", "xxh"):
        (tmp_path / "there" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "there" / name).write_bytes(name.encode())
    (run / "files" / "media.json").write_bytes(b"media")
    listed = tmp_path / "there" / "list.jl.gz"
    entries = [
        {"path": "a", "digest": _md5(b"staged"), "size": 6, "local_path": str(tmp_path / "there" / "staged")},
        {
            "path": "b",
            "digest": _xxh128(b"xxh"),
            "size": 3,
            "local_path": f"{tmp_path}/there/xxh",
            "extra": {"alg": "XXH128"},
        },
        {"path": "m", "digest": _md5(b"media"), "size": 5, "local_path": str(run / "files" / "media.json")},
    ]
    entries[1]["extra"] = {"alg": "XXH128"}
    listed.write_bytes(gzip.compress(b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)))
    directory = _log(run, _artifact(listed=listed))
    contents = _contents(directory)
    # What lies in the run directory itself is there once.
    assert not any("media.json" in name for name in contents.sources if name.startswith("payloads"))
    pack(contents, tmp_path / "b", tmp_path / "state")
    shutil.rmtree(tmp_path / "work")
    shutil.rmtree(tmp_path / "there")
    unpack(open_bundle(tmp_path / "b"), tmp_path / "un")
    files = tmp_path / "un" / contents.runs[0].at / "files"
    places = content_places({}, tmp_path / "home", files)
    (record,) = (each for each in _artifact_records(tmp_path / "un" / contents.runs[0].log_member))
    found = {entry.path: places.find(entry).path for entry in artifact_of(record, places.whereabouts).entries}
    at = tmp_path / "un" / f"payloads{tmp_path}" / "there"
    assert found == {"a": at / "staged", "b": at / "xxh", "m": files / "media.json"}
    # The same path on this machine is another file than the one that was recorded.
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "xxh").write_bytes(b"YYY")
    (at / "xxh").unlink()
    assert places.moved(tmp_path / "there" / "xxh") is None


def _artifact_records(log: Path) -> list[object]:
    return named_by(log).artifacts


def test_two_contents_that_were_at_one_place_are_both_kept(run: Path, tmp_path: Path) -> None:
    """A file that was logged, changed and logged again: the first content is in the cache, and finds its way."""
    place, cache = tmp_path / "model.bin", tmp_path / "home" / ".cache" / "wandb"
    first, second = b"first version", b"second one"
    place.write_bytes(second)
    digest = hashlib.md5(first, usedforsecurity=False).hexdigest()
    cached = cache / "artifacts" / "obj" / "md5" / digest[:2] / digest[2:]
    cached.parent.mkdir(parents=True)
    cached.write_bytes(first)
    entries = [
        {"path": str(number), "digest": _md5(content), "size": len(content), "local_path": str(place)}
        for number, content in enumerate((first, second))
    ]
    directory = _log(run, _artifact(*entries))
    contents = contents_of([directory], {}, tmp_path / "home")
    assert contents.missing == []
    packed = {name: source.path.read_bytes() for name, source in contents.sources.items() if "model.bin" in name}
    assert packed == {f"payloads{place}": first, f"payloads-2{place}": second}
    pack(contents, tmp_path / "b", tmp_path / "state")
    place.unlink()
    cached.unlink()
    unpack(open_bundle(tmp_path / "b"), tmp_path / "un")
    places = content_places({}, tmp_path / "none", tmp_path / "un" / contents.runs[0].at / "files")
    found = [places.find(entry).path for entry in artifact_of(_artifact(*entries).artifact).entries]
    assert [path and path.read_bytes() for path in found] == [first, second]


def test_what_is_missing_is_named(run: Path, tmp_path: Path) -> None:
    """Each with what it is, where it should be, and why it is not there; debug logs that are gone need nobody."""
    (run / "files" / "gone.bin").symlink_to(tmp_path / "nowhere")
    (run / "logs").mkdir()
    (run / "logs" / "debug-core.log").symlink_to(tmp_path / "rotated")
    saved = Record()
    for name in ("gone.bin", "never.txt", "../escaped"):
        saved.files.files.add().path = name
    entry = {"path": "x", "digest": _md5(b"x"), "size": 1, "local_path": str(tmp_path / "lost")}
    reference = {"path": "r", "digest": "", "ref": f"file://{tmp_path}/gone%20too"}
    listed = tmp_path / "list.jl.gz"
    contents = _contents(_log(run, saved, _artifact(entry, reference), _artifact(listed=listed)))
    told = {(item.what, item.path, item.needed) for item in contents.missing}
    assert told == {
        ("file gone.bin", str(run / "files" / "gone.bin"), True),
        ("file never.txt", str(run / "files" / "never.txt"), True),
        ("file ../escaped", str(run / "files" / "../escaped"), True),
        ("x of the artifact data", str(tmp_path / "lost"), True),
        ("r of the artifact data", f"{tmp_path}/gone too", True),
        ("list of the artifact data", str(listed), True),
        ("file", str(run / "logs" / "debug-core.log"), False),
    }
    assert all(item.reason and item.run == contents.runs[0].at for item in contents.missing)
    assert str(tmp_path / "nowhere") in next(item.reason for item in contents.missing if "gone.bin" in item.what)


@pytest.mark.parametrize("content", [b"", b"not a log at all", FILE_HEADER])
def test_a_log_that_gives_nothing_is_packed_all_the_same(run: Path, content: bytes) -> None:
    """Its bytes may be what a repair needs; that nothing it names is known is told, unless it names nothing."""
    (run / "run-made.wandb").write_bytes(content)
    (run / "files" / "kept.txt").write_text("kept")
    contents = _contents(RunDirectory(run, run / "run-made.wandb"))
    assert {name.rpartition("/")[2] for name in contents.sources} == {"run-made.wandb", "kept.txt"}
    assert [(packed.run_id, packed.log) for packed in contents.runs] == [("made", "run-made.wandb")]
    assert bool(contents.missing) == content.startswith(b"not")


def test_folders_of_runs_with_the_same_name_stay_apart(tmp_path: Path) -> None:
    """Copies of one run in two folders are two runs in the bundle, each with its root."""
    runs = [copy_of("0.31.0", tmp_path / name) for name in ("one", "two")]
    contents = contents_of([RunDirectory(run, log_of(run)) for run in runs], {}, tmp_path)
    assert [packed.at for packed in contents.runs] == [f"wandb/{runs[0].name}", f"wandb-2/{runs[0].name}"]
    assert [root.was for root in contents.roots] == [str(tmp_path / "one" / "wandb"), str(tmp_path / "two" / "wandb")]


def test_of_a_folder_that_is_no_run_only_the_run_is_taken(tmp_path: Path) -> None:
    """A log that somebody put into his home does not bring his home along."""
    log = tmp_path / "somewhere" / "run-made.wandb"
    log.parent.mkdir()
    shutil.copy(log_of(copy_of("0.31.0", tmp_path)), log)
    (log.parent / "diary.txt").write_text("private")
    log.with_name(log.name + ".backhaul").write_bytes(b"")
    contents = contents_of([RunDirectory(log.parent, log)], {}, tmp_path)
    assert set(contents.sources) == {f"wandb/somewhere/run-made.wandb{end}" for end in ("", ".backhaul")}


def test_a_bundle_is_not_made_in_a_run_directory(run: Path, tmp_path: Path) -> None:
    """Run directories are read, not written; and a bundle would be packed into itself."""
    directory = _log(run)
    for inside in (run, run / "files", tmp_path / "link"):
        if not inside.exists():
            inside.symlink_to(run)
        with pytest.raises(UsageError, match="lies in a run directory"):
            refuse_inside(inside / "b.tar.zst", [directory])
    refuse_inside(run.parent / "b.tar.zst", [directory])


def test_a_folder_that_cannot_be_looked_into_is_named(backhaul: Backhaul, run: Path, tmp_path: Path) -> None:
    """What it holds is not known, and that is told."""
    _log(run)
    closed = run / "files" / "closed"
    closed.mkdir(mode=0)
    done = backhaul("pack", run, "-o", tmp_path / "b", "--json", prefix=OBEYING_PERMISSIONS)
    closed.chmod(0o700)
    (missing,) = done.document["missing"]
    assert (done.exit_code, missing["path"], missing["needed"]) == (6, str(closed), True)


def test_a_pattern_of_an_old_sdk_is_no_missing_file(tmp_path: Path) -> None:
    """The Python engine logged `*.pt` as well as names; what matched lies in the folder."""
    run = copy_of("0.12.21", tmp_path)
    contents = contents_of([RunDirectory(run, log_of(run))], {}, tmp_path)
    assert [item for item in contents.missing if item.needed] == []
    assert {path.name for path in (run / "files").rglob("*") if path.is_file()} <= {
        name.rpartition("/")[2] for name in contents.sources
    }
