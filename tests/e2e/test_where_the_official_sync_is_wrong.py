"""Cases in which `wandb sync` 0.31 brings home something else than what was recorded, and ours does not."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..command import Backhaul, bare_env, copied, end, record
from ..conftest import DepotProcess
from ..depot_contents import Held, held
from ..fault_proxy import FaultProxy
from .tensorboard_run import SCRIPT

_RUN = """
    import wandb
    settings = wandb.Settings(console="wrap", x_disable_stats=True, program="train.py")
    with wandb.init(project="recorded", id="told", tags=["one", "two"], notes="some notes", settings=settings) as run:
        print("as it was printed")
        with open("a.txt", "w") as file:
            file.write("content")
        mine = wandb.Artifact("mine", "dataset")
        mine.add_file("a.txt")
        run.log_artifact(mine)
        for step in range(10):
            run.log({"loss": step})
        run.tags, run.notes = (), ""
"""
_PRINTED = b"as it was printed\n"


@dataclass(frozen=True)
class Told:
    """The same run directory sent twice by each client, and what the depot then holds.

    `…_sent` are the numbers of the history lines that each of the two syncs sent.
    """

    official: Held
    ours: Held
    official_folder: Path
    our_folder: Path
    official_sent: list[list[int]]
    ours_sent: list[list[int]]


@pytest.fixture(scope="module")
def told(depot: DepotProcess, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Both clients send a copy of the run under another project, forget that they did, and send it again."""
    home = tmp_path_factory.mktemp("told")
    env = bare_env(home / "home")
    (run,) = record(_RUN, home / "recording", env)
    # The recorder wrote this when it ended; a run that was killed has it as the console left it.
    (run / "files" / "output.log").write_bytes(_PRINTED)
    official, ours = (copied(run, home / client) for client in ("official", "ours"))
    official_sent, ours_sent = [], []
    wandb = str(Path(sys.executable).with_name("wandb"))
    for _ in range(2):
        with FaultProxy(depot.url) as proxy:
            there = env | {"WANDB_BASE_URL": proxy.url, "WANDB_API_KEY": depot.api_key}
            line = [wandb, "sync", "-p", f"official-{home.name}", str(official)]
            subprocess.run(line, env=there, cwd=home, capture_output=True, timeout=120, check=True)
            official_sent.append(_history_numbers(proxy))
        with FaultProxy(depot.url) as proxy:
            done = Backhaul(env, home).to(proxy.url, depot.api_key).sync(ours, "-p", f"ours-{home.name}")
            assert done.exit_code == 0, done.stderr
            ours_sent.append(_history_numbers(proxy))
        for forgotten in [*official.glob("*.sync*"), *ours.glob("*.synced"), *ours.glob("*.backhaul")]:
            forgotten.unlink()
    both = [held(depot.data, f"{client}-{home.name}", "told") for client in ("official", "ours")]
    return Told(*both, official, ours, official_sent, ours_sent)


def _history_numbers(proxy: FaultProxy) -> list[int]:
    return [number for stream, number, _ in proxy.lines() if stream == "wandb-history.jsonl"]


def test_the_program_is_the_one_that_was_recorded(told: Told) -> None:
    """Not the path of the tool that syncs."""
    assert told.ours.run.program == "train.py"
    assert str(told.official.run.program).endswith("/wandb")


def test_cleared_tags_and_notes_are_cleared(told: Told) -> None:
    """The script's last word counts also when it is 'nothing'."""
    assert (told.ours.run.tags, told.ours.run.notes) == ((), "")
    assert (told.official.run.tags, told.official.run.notes) == (("one", "two"), "some notes")


def test_artifacts_follow_the_run_to_its_project(told: Told) -> None:
    """Under `--project` the official sync leaves them in the project that the log names."""
    assert [artifact.collection.name for artifact in told.ours.logged] == ["mine"]
    assert told.ours.logged[0].collection.project == told.ours.run.project
    assert [artifact.collection.project for artifact in told.official.logged] != [told.official.run.project]


def test_the_run_directory_keeps_its_console_file(told: Told) -> None:
    """The official sync writes its own `output.log` over the recorded one."""
    assert (told.our_folder / "files" / "output.log").read_bytes() == _PRINTED
    assert (told.official_folder / "files" / "output.log").stat().st_mtime_ns > (
        told.our_folder / "files" / "output.log"
    ).stat().st_mtime_ns


def test_a_second_sync_sends_no_row_again(told: Told) -> None:
    """The official sync sends every row anew, as rows 10 to 19; a depot sees through that, other servers have both."""
    assert told.ours_sent == [list(range(10)), []]
    assert told.official_sent == [list(range(10)), list(range(10, 20))]
    assert [row["loss"] for row in told.ours.rows] == list(range(10))


def test_two_syncs_of_one_run_at_once_leave_each_row_once(
    backhaul: Backhaul, depot: DepotProcess, healthy: Path, tmp_path: Path, project: str
) -> None:
    """Of two on one folder one may be told to wait; one on a copy sends the same lines to the same places."""
    elsewhere = copied(healthy, tmp_path / "copy")
    together = [backhaul.start("sync", run, "-p", project, "--json") for run in (healthy, healthy, elsewhere)]
    codes = [end(process).exit_code for process in together]
    assert codes[2] == 0
    assert sorted(codes[:2]) in ([0, 0], [0, 5])
    assert len(held(depot.data, project, "healthy").rows) == 300


def test_a_run_with_tensorboard_arrives(
    backhaul: Backhaul, depot: DepotProcess, sdk_env: dict[str, str], project: str, tmp_path: Path
) -> None:
    """The official sync reads the event files anew and breaks down; the log has their rows, and the files are saved."""
    (run,) = record(SCRIPT, tmp_path / "work", sdk_env)
    theirs = copied(run, tmp_path / "official")
    wandb = str(Path(sys.executable).with_name("wandb"))
    line = [wandb, "sync", "-p", f"{project}-official", str(theirs)]
    peer = subprocess.run(line, env=sdk_env, cwd=tmp_path, capture_output=True, timeout=120, check=False)

    done = backhaul.sync(run, "-p", project)

    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    there = held(depot.data, project, "board")
    assert [row["train/loss"] for row in there.rows if "train/loss" in row] == pytest.approx(
        [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5]
    )
    assert [name for name in there.files if name.startswith("train/events.out.tfevents.")]
    assert there.run.state == "finished"
    assert peer.returncode == 1
