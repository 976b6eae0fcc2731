"""Promise 4, for runs in several parts: in whatever order they are sent, each row comes to its place, once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ..command import Backhaul, another_second_than, bare_env, copied, record
from ..conftest import DepotProcess
from ..depot_contents import held

_PART = """
    import wandb
    run = wandb.init(project="recorded", id="resumed", resume="allow")
    for value in range({rows}):
        run.log({{"part": {part}, "value": value}})
        print("part {part} line", value)
    run.summary["last"] = {part}
    run.finish(exit_code={part} - 1)
"""
_ROWS = {1: 4, 2: 6, 3: 3}
_ALL = [(part, value) for part, rows in _ROWS.items() for value in range(rows)]


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three offline sessions of one run id, the second one the longest."""
    home = tmp_path_factory.mktemp("parts")
    env = bare_env(home)
    made: list[Path] = []
    for part, rows in _ROWS.items():
        made += record(_PART.format(part=part, rows=rows), home / f"part-{part}", env)
        another_second_than(made[-1])
    return made


def _assert_whole(depot: DepotProcess, project: str) -> None:
    there = held(depot.data, project, "resumed")
    assert [(row["part"], row["value"]) for row in there.rows] == _ALL
    steps = [row["_step"] for row in there.rows]
    assert steps == sorted(set(steps))
    assert there.console == [f"part {part} line {value}" for part, value in _ALL]
    assert (there.summary["last"], there.run.state) == (3, "failed")


@pytest.mark.parametrize("first", [(2,), (1, 3), (2, 3)])
def test_parts_that_were_sent_before_the_others_get_their_places_when_all_are_there(
    backhaul: Backhaul, depot: DepotProcess, originals: list[Path], tmp_path: Path, project: str, first: tuple[int, ...]
) -> None:
    """Some arrive from one machine first, then all are in one folder: rows, console and end are as if sent at once."""
    runs = [copied(run, tmp_path / "all") for run in originals]
    for part in first:
        done = backhaul.sync(runs[part - 1], "-p", project)
        assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    done = backhaul.sync(tmp_path / "all", "-p", project)
    assert done.exit_code == 0, done.stderr
    _assert_whole(depot, project)


@pytest.mark.parametrize("order", [(1, 2, 0), (2, 1, 0), (1, 0, 2)])
def test_parts_in_folders_of_their_own_may_come_in_any_order(
    backhaul: Backhaul, depot: DepotProcess, originals: list[Path], tmp_path: Path, project: str, order: tuple[int, ...]
) -> None:
    """Each in a call of its own, from a folder of its own: the later ones that went before are found, and move up."""
    runs = [copied(run, tmp_path / str(place)) for place, run in enumerate(originals)]
    for place in order:
        done = backhaul.sync(runs[place], "-p", project)
        assert done.exit_code == 0, done.stderr
    _assert_whole(depot, project)
    assert backhaul("verify", *runs, "-p", project).exit_code == 0


def test_an_earlier_part_alone_is_told_to_come_with_the_later_one(
    backhaul: Backhaul, depot: DepotProcess, originals: list[Path], tmp_path: Path, project: str
) -> None:
    """Where the later one is not at hand it could only go behind newer rows: told what to do, nothing is changed."""
    runs = [copied(run, tmp_path / str(place)) for place, run in enumerate(originals)]
    assert backhaul.sync(runs[1], "-p", project).exit_code == 0
    shutil.rmtree(runs[1])
    before = held(depot.data, project, "resumed")
    done = backhaul.sync(runs[0], "-p", project)
    assert (done.exit_code, done.only["error"]["code"]) == (6, "remote-conflict"), done.stderr
    assert "one command" in done.only["error"]["next"]
    assert held(depot.data, project, "resumed") == before


def test_an_online_run_that_goes_on_offline_is_one_run(
    backhaul: Backhaul, depot: DepotProcess, sdk_env: dict[str, str], tmp_path: Path, project: str
) -> None:
    """The SDK sends the first part itself; the offline part goes on after it, in rows, steps and console."""
    script = _PART.replace('project="recorded"', f'project="{project}"')
    online = "import os\n    os.environ['WANDB_MODE'] = 'online'\n    import wandb"
    record(script.format(part=1, rows=4).replace("import wandb", online), tmp_path / "a", sdk_env)
    assert len(held(depot.data, project, "resumed").rows) == 4
    (offline,) = record(script.format(part=2, rows=6), tmp_path / "b", sdk_env)
    for _ in range(2):
        done = backhaul.sync(offline)
        assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
        rows = held(depot.data, project, "resumed").rows
        assert [(row["part"], row["value"]) for row in rows] == _ALL[:10]
        assert [row["_step"] for row in rows] == list(range(10))
