"""Every form of PATH that a user may give leads to the same runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backhaul.errors import NoRunsFound, UnreadableFile
from backhaul.runs.find import find_runs


def _make(folder: Path, name: str, log: str | None = None) -> Path:
    run = folder / name
    (run / "files").mkdir(parents=True)
    (run / (log or f"run-{name.split('-')[-1]}.wandb")).write_bytes(b":W&B\xe1\xbe\x00")
    return run


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with two offline runs, one online run and the SDK's other content of a `wandb` folder."""
    wandb = tmp_path / "project" / "wandb"
    _make(wandb, "offline-run-20260101_100000-bbb")
    _make(wandb, "offline-run-20260102_100000-aaa")
    _make(wandb, "run-20260103_100000-ccc")
    (wandb / "logs").mkdir()
    (wandb / "latest-run").symlink_to("offline-run-20260102_100000-aaa")
    return tmp_path / "project"


def _ids(
    *paths: Path, env: dict[str, str] | None = None, cwd: Path = Path("/nowhere"), online: bool = False
) -> list[str]:
    return [run.run_id_hint for run in find_runs(paths, env=env or {}, cwd=cwd, include_online=online)]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("wandb/offline-run-20260101_100000-bbb", ["bbb"]),
        ("wandb/offline-run-20260101_100000-bbb/files", ["bbb"]),
        ("wandb/offline-run-20260101_100000-bbb/run-bbb.wandb", ["bbb"]),
        ("wandb/latest-run", ["aaa"]),
        ("wandb/latest-run/files", ["aaa"]),
        ("wandb/run-20260103_100000-ccc", ["ccc"]),
        ("wandb", ["bbb", "aaa"]),
        (".", ["bbb", "aaa"]),
        ("..", ["bbb", "aaa"]),
    ],
)
def test_each_form_of_path_finds_its_runs(path: str, found: list[str], project: Path) -> None:
    """A run directory, its files folder, its log, latest-run, the wandb folder, any folder above; oldest first."""
    assert _ids(project / path) == found


def test_without_a_path_the_current_folder_is_taken_or_the_one_that_wandb_was_told(
    project: Path, tmp_path: Path
) -> None:
    """`WANDB_DIR` comes first, as with the SDK."""
    assert _ids(cwd=project) == ["bbb", "aaa"]
    assert _ids(env={"WANDB_DIR": str(project)}, cwd=tmp_path / "elsewhere") == ["bbb", "aaa"]


def test_online_runs_are_found_when_they_are_asked_for(project: Path) -> None:
    """They went to a server once; a search passes them over."""
    assert _ids(project, online=True) == ["bbb", "aaa", "ccc"]


def test_a_run_that_several_paths_lead_to_is_found_once(project: Path) -> None:
    """Also through the link and the log itself."""
    wandb = project / "wandb"
    assert _ids(wandb, wandb / "latest-run", wandb / "offline-run-20260101_100000-bbb" / "run-bbb.wandb", project) == [
        "bbb",
        "aaa",
    ]


def test_runs_lie_deep_and_in_several_folders(tmp_path: Path) -> None:
    """Ordered by the time in their names, wherever they lie; folders of other tools are not walked."""
    _make(tmp_path / "b" / "deep" / "er" / "wandb", "offline-run-20260101_100000-one")
    _make(tmp_path / "a" / "wandb", "offline-run-20260102_100000-two")
    _make(tmp_path / "a" / "node_modules" / "wandb", "offline-run-20260102_100000-not")
    assert _ids(tmp_path) == ["one", "two"]


def test_a_log_in_any_folder_and_of_any_name_is_found_when_named(tmp_path: Path) -> None:
    """People copy logs around."""
    (tmp_path / "copy.wandb").write_bytes(b"")
    assert _ids(tmp_path / "copy.wandb") == ["copy"]
    assert _ids(tmp_path) == ["copy"]


def test_a_run_directory_that_was_renamed_is_found_from_above(project: Path) -> None:
    """By what the SDK puts into it: a log and the folder of its files. A log alone in a folder is none."""
    _make(project / "best so far", "the one", "run-ddd.wandb")
    _make(project, ".hidden", "run-ggg.wandb")
    (project / "run-eee.wandb").write_bytes(b"")
    (project / "logs").mkdir()
    (project / "logs" / "run-fff.wandb").write_bytes(b"")
    assert _ids(project.parent) == ["bbb", "aaa", "ddd"]


def test_a_log_that_lies_beside_run_directories_hides_none_of_them(project: Path) -> None:
    """The folder was named: the log counts, and so do the runs below."""
    (project / "wandb" / "run-eee.wandb").write_bytes(b"")
    assert sorted(_ids(project / "wandb")) == ["aaa", "bbb", "eee"]


def test_links_to_folders_are_not_followed_when_searching(project: Path, tmp_path: Path) -> None:
    """A link back up would never end."""
    (project / "wandb" / "up").symlink_to(tmp_path)
    assert _ids(project) == ["bbb", "aaa"]


def test_nothing_there_is_told_with_the_path(tmp_path: Path) -> None:
    """A path that does not exist, and one without runs."""
    with pytest.raises(NoRunsFound, match=r"There is nothing at .*/missing"):
        _ids(tmp_path / "missing")
    with pytest.raises(NoRunsFound, match="No offline run was found under"):
        _ids(tmp_path)


@pytest.mark.parametrize("form", ["offline-run-20260101_100000-bbb", "."])
def test_a_run_that_cannot_be_listed_is_told_not_passed_over(form: str, project: Path) -> None:
    """By a user without the right to; root may read everything, so there the listing is made to fail."""
    from backhaul.runs import find

    closed = project / "wandb" / "offline-run-20260101_100000-bbb"
    real = os.scandir

    def scandir(path: str | Path) -> object:
        if Path(path) == closed.resolve():
            raise PermissionError(13, "Permission denied")
        return real(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(find.os, "scandir", scandir)
        if form == ".":
            assert _ids(project) == ["bbb", "aaa"]
        else:
            with pytest.raises(UnreadableFile, match="Permission denied"):
                _ids(project / "wandb" / form)
