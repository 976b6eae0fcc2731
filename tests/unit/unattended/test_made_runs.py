"""Which runs are a job's."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from backhaul.unattended.made_runs import logs_written_by, runs_made, slurm_job_of

from ...command import copy_of, log_of, record


def _made(seen: list[Path], roots: list[Path], since: float, **env: str) -> list[str]:
    return [run.path.name for run in runs_made(seen, roots, env, since)]


def _aged(run: Path, seconds: float) -> Path:
    times = (time.time() - seconds,) * 2
    os.utime(log_of(run), times)
    return run


def test_what_came_up_where_the_job_worked_is_its_own(tmp_path: Path) -> None:
    """And nothing that was there before."""
    _aged(copy_of("0.28.2", tmp_path), 1000)
    new = _aged(copy_of("0.31.0", tmp_path), 5)
    assert _made([], [tmp_path], time.time() - 100) == [new.name]


def test_a_log_that_was_seen_open_is_its_own_wherever_it_lies(tmp_path: Path) -> None:
    """With what came up beside it: a short run may not have been seen."""
    away = tmp_path / "away"
    seen, beside = copy_of("0.31.0", away), copy_of("0.28.2", away)
    for run in (seen, beside):
        _aged(run, 5)
    assert sorted(_made([log_of(seen)], [tmp_path / "empty"], time.time())) == sorted([seen.name, beside.name])


def test_folders_far_below_are_searched_when_nothing_else_is_found(tmp_path: Path) -> None:
    """Hydra gives each job a folder of its own."""
    deep = _aged(copy_of("0.31.0", tmp_path / "outputs/2026-01-01/10-00-00"), 5)
    assert _made([], [tmp_path], time.time()) == [deep.name]
    near = _aged(copy_of("0.28.2", tmp_path), 5)
    assert _made([], [tmp_path], time.time()) == [near.name]


def test_a_missing_folder_an_empty_one_and_online_runs_are_nothing(tmp_path: Path) -> None:
    """The SDK itself brings online runs home."""
    (tmp_path / "wandb" / "offline-run-20260101_000000-none").mkdir(parents=True)
    online = copy_of("0.31.0", tmp_path)
    online.rename(online.with_name(online.name.removeprefix("offline-")))
    assert _made([tmp_path / "gone.wandb"], [tmp_path, tmp_path / "gone"], 0.0) == []


_SHORT = """
    import wandb
    run = wandb.init(project="p", id="array-task")
    run.log({"a": 1})
    run.finish()
"""


def test_a_run_of_another_slurm_job_in_the_same_folder_is_not_ours(
    isolated_env: dict[str, str], tmp_path: Path
) -> None:
    """The tasks of an array share a folder, and each has a wrapper."""
    (run,) = record(_SHORT, tmp_path / "work", isolated_env | {"SLURM_JOB_ID": "4711"})
    (found,) = runs_made([], [tmp_path / "work"], {}, 0.0)
    assert slurm_job_of(found) == "4711"
    assert _made([], [tmp_path / "work"], 0.0, SLURM_JOB_ID="4711") == [run.name]
    assert _made([], [tmp_path / "work"], 0.0, SLURM_JOB_ID="4712") == []
    unknown = copy_of("0.28.2", tmp_path / "work")
    assert _made([], [tmp_path / "work"], 0.0, SLURM_JOB_ID="4712") == [unknown.name]


@pytest.mark.parametrize(("mode", "is_found"), [("ab", True), ("rb", False)])
def test_only_a_log_that_is_open_for_writing_is_seen(tmp_path: Path, mode: str, is_found: bool) -> None:
    """Somebody who looks at a run does not make it."""
    log = log_of(copy_of("0.31.0", tmp_path))
    with log.open(mode):
        assert list(logs_written_by([os.getpid(), 1 << 30])) == ([log] if is_found else [])
