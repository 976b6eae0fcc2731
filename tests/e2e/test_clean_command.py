"""`backhaul clean` as a process: it shows before it deletes, asks, and survives its own death."""

from __future__ import annotations

import os
import pty
from pathlib import Path

import pytest

from ..command import Backhaul, copied, copy_of, end


@pytest.fixture
def delivered(backhaul: Backhaul, healthy_original: Path, tmp_path: Path, project: str) -> Path:
    """A run with a saved file, sent and read back."""
    run = copied(healthy_original, tmp_path)
    assert backhaul.sync(run, "-p", project).exit_code == 0
    return run


def test_it_shows_first_and_deletes_when_it_is_told_to(
    backhaul: Backhaul, delivered: Path, tmp_path: Path, project: str
) -> None:
    """A dry run deletes nothing, nor does a call that nobody can be asked of; --yes deletes, and the receipt stays."""
    pending = copy_of("0.31.0", tmp_path)
    shown = backhaul("clean", tmp_path, "-p", project, "--dry-run")
    assert (shown.exit_code, delivered.exists()) == (0, True)
    assert shown.stderr.startswith("2 runs: 1 can go (")
    assert (str(delivered) in shown.stderr, str(pending) in shown.stderr) == (True, True)
    unasked = backhaul("clean", tmp_path, "-p", project)
    assert (unasked.exit_code, delivered.exists()) == (2, True)
    done = backhaul("clean", tmp_path, "-p", project, "--yes", "--json")
    assert (done.exit_code, delivered.exists(), pending.exists()) == (0, False, True)
    fates = {run["path"]: run["fate"] for run in done.document["runs"]}
    assert fates == {str(delivered): "deleted", str(pending): "kept"}
    (gone,) = (run for run in done.document["runs"] if run["fate"] == "deleted")
    assert done.document["freed"] == gone["frees"] > 20_000
    assert backhaul("verify", "--receipt", gone["receipt"]).exit_code == 0


@pytest.mark.parametrize(("answer", "stays"), [("n", True), ("y", False)])
def test_a_person_is_asked(
    backhaul: Backhaul, delivered: Path, tmp_path: Path, project: str, answer: str, stays: bool
) -> None:
    """At a terminal the runs and their size are shown, and only a yes deletes them."""
    ours, theirs = pty.openpty()
    keyboard = os.fdopen(theirs)
    os.write(ours, f"{answer}\n".encode())
    process = backhaul.start("clean", tmp_path, "-p", project, stdin=keyboard)
    done = end(process)
    keyboard.close()
    os.close(ours)
    assert "Delete 1 run directory" in done.stderr
    assert (done.exit_code, delivered.exists()) == (0, stays)


def test_killed_in_the_middle_it_goes_on_where_it_was(
    backhaul: Backhaul, delivered: Path, tmp_path: Path, project: str
) -> None:
    """SIGKILL at the fourth entry that is taken away: no half run is seen, and the same command finishes it."""
    kill = ("strace", "-f", "-o", "/dev/null", "-e", "trace=unlinkat", "-e", "inject=unlinkat:signal=SIGKILL:when=4")
    killed = backhaul("clean", tmp_path, "-p", project, "--yes", "--json", prefix=kill)
    (left,) = delivered.parent.iterdir()
    assert (killed.exit_code, left.name, any(left.rglob("*"))) == (-9, f".backhaul-removing-{delivered.name}", True)
    assert backhaul("status", tmp_path, "--json").document["error"]["code"] == "no-runs"
    done = backhaul("clean", delivered.parent, "-p", project, "--yes", "--json")
    assert (done.exit_code, done.document["finished"]) == (0, [str(left)])
    assert list(delivered.parent.iterdir()) == []
