"""`backhaul status` as a process."""

from __future__ import annotations

import io
import time
from pathlib import Path

from rich.console import Console

from backhaul.cli.status_view import show_standings
from backhaul.runs.find import find_runs
from backhaul.sync.standing import standings

from ..command import Backhaul, copy_of, log_of, marker_of
from ..growing_job import growing_job


def _steps(document: dict[str, object]) -> dict[str, str]:
    runs = document["runs"]
    assert isinstance(runs, list)
    return {run["run_id"]: run["next"] for run in runs}


def test_status_groups_runs_by_what_has_to_happen_next(backhaul: Backhaul, tmp_path: Path) -> None:
    """Verified, marked without proof, ready and unreadable runs each stand where they belong, and say why."""
    verified = copy_of("0.31.0", tmp_path)
    copy_of("0.18.7", tmp_path)
    marked, empty = copy_of("0.17.9", tmp_path), copy_of("empty", tmp_path)
    assert backhaul.sync(verified).exit_code == 0
    marker_of(marked).touch()
    done = backhaul("status", tmp_path, "--json")
    assert done.exit_code == 0
    assert _steps(done.document) == {
        "rec-0310": "nothing",
        "rec-0179": "sync, to prove it",
        "rec-0187": "sync",
        "rec-empty": "look at it",
    }
    by_id = {run["run_id"]: run for run in done.document["runs"]}
    assert by_id["rec-empty"]["error"]["code"] == "empty-log"
    assert by_id["rec-0310"]["destinations"][0]["lines"]["history"] == 21
    shown = backhaul("status", tmp_path).stdout
    assert shown.startswith("4 runs: 1 needs you, 1 ready, 1 marked, not proven, 1 verified\n")
    assert str(empty) in shown


def test_a_verified_run_that_grew_is_to_be_synced_again(backhaul: Backhaul, tmp_path: Path) -> None:
    """The proof holds for the bytes that were read; a log that changed since then is begun, not done."""
    run = copy_of("0.31.0", tmp_path)
    assert backhaul.sync(run).exit_code == 0
    with log_of(run).open("ab") as log:
        log.write(b"\0")
    (only,) = backhaul("status", run, "--json").document["runs"]
    assert (only["state"], only["next"]) == ("sending", "sync, to go on")


def test_a_run_that_a_process_holds_open_is_recording(
    backhaul: Backhaul, sdk_env: dict[str, str], tmp_path: Path
) -> None:
    """While the job lives its run is recording; the moment it is killed, the run is ready to be sent."""
    with growing_job(sdk_env, tmp_path) as job:
        before = backhaul("status", tmp_path, "--json").document["runs"]
        run = job.run
        job.kill()
    assert [(one["path"], one["next"]) for one in before] == [(str(run), "wait")]
    assert _steps(backhaul("status", tmp_path, "--json").document) == {"alive": "sync"}


def test_status_of_nothing_says_where_it_looked(backhaul: Backhaul, tmp_path: Path) -> None:
    """A folder without runs is told as such, with exit code 2."""
    done = backhaul("status", tmp_path, "--json")
    assert (done.exit_code, done.document["error"]["code"]) == (2, "no-runs")


def test_a_row_that_does_not_fit_the_terminal_has_its_reason_on_lines_of_its_own(tmp_path: Path) -> None:
    """Sentences are folded at words, paths are not."""
    empty, output = copy_of("empty", tmp_path), io.StringIO()
    runs = list(standings(find_runs([empty], env={}, cwd=tmp_path), tmp_path))
    console = Console(file=output, width=40, force_terminal=True, color_system=None, highlight=False)
    show_standings(runs, time.time(), console)
    lines = [line.rstrip() for line in output.getvalue().splitlines()]
    assert any(line.endswith(str(empty)) for line in lines)
    assert lines[-2:] == ["    is empty (0 bytes): no record of", "    this run reached the disk."]
