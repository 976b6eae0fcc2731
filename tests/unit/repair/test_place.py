"""Where a repaired run lies, and what it has of the original's files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backhaul.errors import RunBusy
from backhaul.repair import repair_run
from backhaul.repair.place import default_folder
from backhaul.runs.directory import RunDirectory

from .conftest import head

if TYPE_CHECKING:
    from .conftest import MakeRun


def test_the_folder_is_named_after_the_run_directory(tmp_path: Path) -> None:
    """`wandb sync` takes folders that begin with `offline-` only; Backhaul walks past what is not named as a run."""
    for name, folder in (
        ("offline-run-20260102_030405-abc", "repaired/offline-repaired-20260102_030405-abc"),
        ("run-20260102_030405-abc", "repaired/offline-repaired-20260102_030405-abc"),
        ("somewhere", "somewhere/repaired/offline-repaired-abc"),
    ):
        run = RunDirectory(tmp_path / name, tmp_path / name / "run-abc.wandb")
        assert default_folder(run) == tmp_path / folder


def test_the_files_stay_when_the_original_is_deleted(make_run: MakeRun, tmp_path: Path) -> None:
    """A user who deletes the damaged original loses no saved file; what `run.save` linked leads where it led."""
    run = make_run(head())
    elsewhere = tmp_path / "weights.pt"
    elsewhere.write_text("weights")
    (run.files / "media").mkdir()
    (run.files / "media" / "picture.png").write_bytes(b"png")
    (run.files / "weights.pt").symlink_to(elsewhere)
    (run.files / "output.log").write_text("words")
    run.log.with_name("run-abc.wandb.syncstate").write_text('{"starting_step": 5}')
    folder = repair_run(run).output.parent
    for path in sorted(run.path.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert (folder / "files" / "media" / "picture.png").read_bytes() == b"png"
    assert (folder / "files" / "weights.pt").readlink() == elsewhere
    assert (folder / "files" / "output.log").read_text() == "words"
    assert (folder / "run-abc.wandb.syncstate").read_text() == '{"starting_step": 5}'


def test_what_the_official_client_rewrites_is_no_second_name_of_the_original(make_run: MakeRun) -> None:
    """`wandb sync` writes config, summary, metadata and console text into `files/`: the copy's, not the original's."""
    run = make_run(head())
    for name in ("config.yaml", "output.log", "wandb-metadata.json", "wandb-summary.json"):
        (run.files / name).write_text("original")
    folder = repair_run(run).output.parent
    for path in (folder / "files").iterdir():
        path.write_text("rewritten")
    assert {path.read_text() for path in run.files.iterdir()} == {"original"}


def test_what_a_killed_repair_left_is_taken_away(make_run: MakeRun) -> None:
    """A kill leaves a hidden folder; the next repair of the run begins anew, and only the whole result is there."""
    run = make_run(head())
    left = default_folder(run).with_name(f".unfinished-{default_folder(run).name}")
    left.mkdir(parents=True)
    (left / ".run-abc.wandb.1234.part").write_bytes(b"half")
    folder = repair_run(run).output.parent
    assert list(folder.parent.iterdir()) == [folder]
    assert sorted(path.name for path in folder.iterdir()) == ["run-abc.wandb"]


def test_two_repairs_of_one_run_do_not_meet(make_run: MakeRun) -> None:
    """While another process writes, this one says so and touches nothing."""
    run = make_run(head())
    other = default_folder(run).with_name(f".unfinished-{default_folder(run).name}")
    other.mkdir(parents=True)
    with (other / ".run-abc.wandb.1234.part").open("wb") as file:
        with pytest.raises(RunBusy):
            repair_run(run)
        file.write(b"goes on")
    assert [path.read_bytes() for path in other.iterdir()] == [b"goes on"]
