"""Promise 3 at size: one sync of many runs with files and artifacts, killed at moments that a seed names."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from ..command import Backhaul, record
from ..conftest import DepotProcess, StartDepot
from ..depot_contents import held
from ..fault_proxy import FaultProxy

_ROWS = 30
_RECORD = """
    import wandb
    quiet = wandb.Settings(console="off", x_disable_stats=True)
    for number in range({runs}):
        with wandb.init(project="recorded", id=f"run-{{number}}", settings=quiet) as run:
            with open(f"saved-{{number}}.txt", "w") as file:
                file.write(f"saved {{number}} " * 1000)
            run.save(f"saved-{{number}}.txt")
            data = wandb.Artifact(f"data-{{number}}", "dataset")
            with data.new_file("numbers.txt") as file:
                file.write(f"{{number}} " * 1000)
            run.log_artifact(data)
            for step in range({rows}):
                run.log({{"loss": step + number / 1000}})
"""


def _outlive(
    backhaul: Backhaul, depot: DepotProcess, folder: Path, project: str, runs: int, kills: int, seed: int
) -> int:
    """Record, kill, sync to the end, compare with what was recorded; returns how many kills hit a sync at work."""
    chance = random.Random(seed)
    record(_RECORD.format(runs=runs, rows=_ROWS), folder, backhaul.env)
    hits = 0
    with FaultProxy(depot.url) as proxy:
        through = backhaul.to(proxy.url)
        # The requests of all kills together are some share of those that a sync needs, so that the last ones hit too.
        each = max(1, runs * 20 // (kills * 2))
        for _ in range(kills):
            before, wanted = len(proxy.seen), chance.randint(1, 2 * each)
            # It gets no further than this, however late we are.
            proxy.hold_after(wanted + 2)
            process = through.start("sync", folder, "-p", project)
            while len(proxy.seen) < before + wanted and process.poll() is None:
                time.sleep(0.001)
            time.sleep(chance.random() * 0.05)
            process.kill()
            process.communicate(timeout=60)
            proxy.let_go()
            hits += process.returncode == -9
        done = through.sync(folder, "-p", project, timeout=600)
        assert done.exit_code == 0, done.stderr
        assert [run["state"] for run in done.document["runs"]] == ["verified"] * runs
        _assert_one_number_each(proxy)
    for number in range(runs):
        _assert_whole(depot, project, number)
    return hits


def _assert_one_number_each(proxy: FaultProxy) -> None:
    ever: dict[tuple[str, str, int], str] = {}
    for seen in proxy.of("file_stream"):
        for stream, part in seen.json.get("files", {}).items():
            if stream != "wandb-summary.json":
                for number, line in enumerate(part["content"], part["offset"]):
                    assert ever.setdefault((seen.path, stream, number), line) == line


def _assert_whole(depot: DepotProcess, project: str, number: int) -> None:
    there = held(depot.data, project, f"run-{number}")
    assert [row["loss"] for row in there.rows] == [step + number / 1000 for step in range(_ROWS)]
    assert there.files[f"saved-{number}.txt"] == f"saved {number} ".encode() * 1000
    assert there.run.state == "finished"
    (artifact,) = there.logged
    assert (artifact.collection.name, artifact.version, artifact.committed) == (f"data-{number}", 0, True)
    assert (artifact.size, artifact.file_count) == (len(f"{number} " * 1000), 1)


def test_ten_kills_over_a_sync_of_many_runs(
    backhaul: Backhaul, depot: DepotProcess, tmp_path: Path, project: str
) -> None:
    """Files, artifacts and rows of every run are there once."""
    assert _outlive(backhaul, depot, tmp_path / "runs", project, runs=8, kills=10, seed=1) >= 5


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(4))
def test_fifty_kills_over_a_sync_of_fifty_runs(
    backhaul: Backhaul, depot: DepotProcess, tmp_path: Path, project: str, seed: int
) -> None:
    """Four seeds of fifty kills: two hundred."""
    assert _outlive(backhaul, depot, tmp_path / "runs", project, runs=50, kills=50, seed=seed) >= 25


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_depot_that_is_killed_while_many_runs_come_loses_nothing(
    backhaul: Backhaul, start_depot: StartDepot, tmp_path: Path, project: str
) -> None:
    """Twelve rounds: the server dies at some request, the client ends or waits, both start again."""
    chance = random.Random(7)
    runs, data = 20, tmp_path / "depot"
    record(_RECORD.format(runs=runs, rows=_ROWS), tmp_path / "runs", backhaul.env)
    for _ in range(12):
        server = start_depot(data)
        with FaultProxy(server.url) as proxy:
            there = backhaul.to(proxy.url, server.api_key).with_env(HOME=str(tmp_path / "home"))
            process = there.start("sync", tmp_path / "runs", "-p", project, "--deadline", "5")
            wanted = chance.randint(3, 60)
            while len(proxy.seen) < wanted and process.poll() is None:
                time.sleep(0.001)
            server.kill()
            process.communicate(timeout=60)
    server = start_depot(data)
    done = backhaul.to(server.url, server.api_key).sync(tmp_path / "runs", "-p", project, timeout=300)
    assert done.exit_code == 0, done.stderr
    for number in range(runs):
        _assert_whole(server, project, number)
