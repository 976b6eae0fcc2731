"""Several depots over one database behind one address: clients that know nothing of it, and a depot that is killed."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ..balancer import Balancer
from ..command import RECORDED, Backhaul, copied, id_of
from ..conftest import DepotProcess, StartDepot
from ..depot_contents import Held, held

# Other programs do the work, on a machine that may have much else to do.
pytestmark = pytest.mark.timeout(500)

# Logs fifty rows for each line that it is told, then files and an artifact.
_LOGS = """
    import sys, wandb
    run = wandb.init(project="several", id="online", name="One", config={"lr": 0.1}, tags=["x"],
                     settings=wandb.Settings(x_file_stream_transmit_interval=0.2))
    for turn, _ in enumerate(sys.stdin):
        for step in range(50):
            run.log({"loss": 1 / (step + 1), "turn": turn})
            print("line", turn, step)
        print("told", flush=True, file=sys.__stderr__)
    for number in range(5):
        with open(f"saved-{number}.txt", "w") as file:
            file.write(f"saved {number} " * 1000)
        run.save(f"saved-{number}.txt")
    artifact = wandb.Artifact("set", "dataset", metadata={"k": 1})
    for number in range(10):
        with open(f"part-{number}.bin", "w") as file:
            file.write(f"part {number} " * 3000)
        artifact.add_file(f"part-{number}.bin")
    run.log_artifact(artifact, aliases=["best"])
    run.finish()
"""
_TURNS = 4


@dataclass
class _House:
    """Three depots over one database, and who stands before them."""

    depots: list[DepotProcess]
    balancer: Balancer

    def kill_one(self, url: str) -> None:
        """Ends the depot with that address as a power cut would."""
        next(depot for depot in self.depots if depot.url == url).kill()

    @property
    def alive(self) -> list[DepotProcess]:
        """Those that answer."""
        return [depot for depot in self.depots if depot.process.poll() is None]

    def of(self, env: dict[str, str]) -> dict[str, str]:
        """The environment of a client."""
        return env | {"WANDB_BASE_URL": self.balancer.url, "WANDB_API_KEY": self.depots[0].api_key}


@pytest.fixture
def house(start_depot: StartDepot, postgres_url: str, tmp_path: Path) -> Iterator[_House]:
    depots = [start_depot(tmp_path / "depots", database=postgres_url) for _ in range(3)]
    with Balancer(*(depot.url for depot in depots)) as balancer:
        yield _House(depots, balancer)


def _rows(run: Held) -> list[dict[str, Any]]:
    """What was logged, without when."""
    return [{key: value for key, value in row.items() if key not in ("_timestamp", "_runtime")} for row in run.rows]


def _described(run: Held) -> dict[str, Any]:
    """What must not depend on which depot took it."""
    return {
        "rows": _rows(run),
        "console": run.console,
        "files": {name: data for name, data in run.files.items() if name.startswith("saved-")},
        "names": run.files.keys() - {"wandb-metadata.json"},
        "summary": {name: value for name, value in run.summary.items() if not name.startswith("_")},
        "config": {name: value for name, value in run.config.items() if name != "_wandb"},
        "state": (run.run.state, run.run.exit_code, run.run.display_name, run.run.tags),
        "logged": [(a.collection.name, a.version, a.digest, a.aliases, a.size, a.file_count) for a in run.logged],
        "manifests": [_contents(manifest) for manifest in run.manifests.values()],
    }


def _contents(manifest: Any) -> dict[str, tuple[str, int]]:
    return {name: (entry["digest"], entry["size"]) for name, entry in manifest["contents"].items()}


def _logged(env: dict[str, str], folder: Path, house: _House | None = None) -> None:
    """The script under the real SDK, online; in the middle of its second lines the depot that gets them is killed."""
    folder.mkdir()
    command = [sys.executable, "-c", textwrap.dedent(_LOGS)]
    with subprocess.Popen(
        command, env=env | {"WANDB_DIR": str(folder)}, cwd=folder, stdin=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    ) as program:  # fmt: skip
        assert program.stdin is not None
        assert program.stderr is not None
        for turn in range(_TURNS):
            program.stdin.write("on\n")
            program.stdin.flush()
            while program.stderr.readline() != "told\n":
                assert program.poll() is None
            if turn == 0 and house:
                house.balancer.after(3000, house.kill_one)
        _, said = program.communicate(timeout=120)
        assert program.returncode == 0, said


def test_an_online_run_goes_through_several_depots_one_of_which_is_killed(
    house: _House, sqlite_depot: DepotProcess, isolated_env: dict[str, str], tmp_path: Path
) -> None:
    """The unmodified SDK notices nothing: what is there is what one depot alone has of the same script."""
    _logged(house.of(isolated_env), tmp_path / "behind", house)
    alone = isolated_env | {"WANDB_BASE_URL": sqlite_depot.url, "WANDB_API_KEY": sqlite_depot.api_key}
    _logged(alone, tmp_path / "alone")
    assert len(house.alive) == 2
    assert all(house.balancer.served.values()), house.balancer.served
    found = _described(held(house.depots[0].place, "several", "online"))
    assert len(found["rows"]) == 50 * _TURNS
    assert found == _described(held(sqlite_depot.data, "several", "online"))


def test_recorded_runs_go_through_several_depots_one_of_which_is_killed(
    house: _House, sqlite_depot: DepotProcess, isolated_env: dict[str, str], tmp_path: Path, project: str,
    healthy: Path,
) -> None:  # fmt: skip
    """Each is verified, and equal in every line and byte to what one depot alone has of it."""
    runs = [healthy, *(run for name in ("0.31.0", "0.31.0-killed") for run in RECORDED.glob(f"{name}/offline-run-*"))]
    here, there = tmp_path / "one", tmp_path / "other"
    for run in runs:
        copied(run, here)
        copied(run, there)
    house.balancer.after(20_000, house.kill_one)
    done = Backhaul(house.of(isolated_env), tmp_path).sync(here, "-p", project, timeout=120)
    assert {run["run_id"]: run["state"] for run in done.document["runs"]} == {id_of(run): "verified" for run in runs}
    assert len(house.alive) == 2
    alone = isolated_env | {"WANDB_BASE_URL": sqlite_depot.url, "WANDB_API_KEY": sqlite_depot.api_key}
    assert Backhaul(alone, tmp_path).sync(there, "-p", project, timeout=120).exit_code == 0
    for run in runs:
        assert _whole(held(house.depots[0].place, project, id_of(run))) == _whole(
            held(sqlite_depot.data, project, id_of(run))
        )


def _whole(run: Held) -> dict[str, Any]:
    """All that a sync brings."""
    return {
        "lines": (run.history, run.events, run.output),
        "files": run.files,
        "summary": json.dumps(run.summary, sort_keys=True),
        "config": json.dumps(run.config, sort_keys=True),
        "state": (run.run.state, run.run.exit_code, run.run.tags, run.run.notes),
        "logged": [(a.collection.name, a.version, a.digest, a.aliases, a.size, a.file_count) for a in run.logged],
        "manifests": [_contents(manifest) for manifest in run.manifests.values()],
    }
