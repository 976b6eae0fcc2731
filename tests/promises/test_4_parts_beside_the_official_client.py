"""Promise 4, where the official client has been before us, or comes to grief: parts of one run, each row once.

The runs are recorded by the real SDK, and what is at the destination before is what the real client brought there.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from ..command import Backhaul, bare_env, copied, log_of, marker_of, record
from ..conftest import DepotProcess
from ..depot_contents import Held, held
from ..fault_proxy import FaultProxy, stall
from ..official import Official

_RECORD = """
    import time, wandb
    for part, rows in ((1, 4), (2, 6)):
        for run_id, resume in (("resumed", "allow"), ("plain", None)):
            with wandb.init(project="recorded", id=run_id, resume=resume) as run:
                for value in range(rows):
                    run.log({"part": part, "value": value})
                    print(f"part {part} line {value}")
                run.summary["last"] = part
        # Folders are named by the second in which a run began.
        began = int(time.time())
        while int(time.time()) == began:
            time.sleep(0.05)
"""
_ALL = [(part, value) for part, rows in ((1, 4), (2, 6)) for value in range(rows)]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs of two offline sessions each, in the order of their recording."""
    home = tmp_path_factory.mktemp("parts")
    return record(_RECORD, home, bare_env(home))


@pytest.fixture
def resumed(recorded: list[Path]) -> list[Path]:
    """Two sessions of one run id that say that they resume."""
    return [run for run in recorded if run.name.endswith("-resumed")]


@pytest.fixture
def plain(recorded: list[Path]) -> list[Path]:
    """Two sessions of one run id, as a job that was put into the queue again makes them."""
    return [run for run in recorded if run.name.endswith("-plain")]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The folder in which both parts lie, as on the machine where they were recorded."""
    return tmp_path / "here"


def _rows(there: Held) -> list[tuple[int, int]]:
    return [(row["part"], row["value"]) for row in there.rows]


def _assert_whole(there: Held) -> None:
    assert _rows(there) == _ALL
    assert [row["_step"] for row in there.rows] == list(range(len(_ALL)))
    assert there.console == [f"part {part} line {value}" for part, value in _ALL]
    assert (there.summary["last"], there.run.state) == (2, "finished")


def test_two_parts_in_the_wrong_order_and_separate_calls(
    backhaul: Backhaul, official: Official, depot: DepotProcess, resumed: list[Path], here: Path, project: str
) -> None:
    """The official sync leaves the later part's rows first. Ours finds the part that it sent before and moves it."""
    theirs = [copied(run, here / "theirs") for run in resumed]
    for run in reversed(theirs):
        assert official.sync("-p", f"{project}-theirs", run).exit_code == 0
    assert _rows(held(depot.data, f"{project}-theirs", "resumed")) == [*_ALL[4:], *_ALL[:4]]

    ours = [copied(run, here / "ours") for run in resumed]
    assert backhaul.sync(ours[1], "-p", project).exit_code == 0
    done = backhaul.sync(ours[0], "-p", project)
    assert (done.exit_code, [run["state"] for run in done.document["runs"]]) == (0, ["verified"] * 2), done.stderr
    assert [Path(run["path"]) for run in done.document["runs"]] == ours
    _assert_whole(held(depot.data, project, "resumed"))
    for run in ours:
        assert backhaul("verify", run, "-p", project).exit_code == 0
    assert len(backhaul.sync(ours[0], "-p", project).document["runs"]) == 1


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_parts_that_do_not_say_that_they_resume(
    backhaul: Backhaul,
    depot: DepotProcess,
    plain: list[Path],
    here: Path,
    project: str,
    order: tuple[int, int],
) -> None:
    """A job that was started twice under one id: in any order of two calls its parts become one run."""
    ours = [copied(run, here) for run in plain]
    for part in order:
        assert backhaul.sync(ours[part], "-p", project).exit_code == 0
    _assert_whole(held(depot.data, project, "plain"))


def test_an_earlier_part_comes_after_the_official_client_sent_the_later_one(
    backhaul: Backhaul, official: Official, depot: DepotProcess, resumed: list[Path], here: Path, project: str
) -> None:
    """Given both, ours finds the later part's rows at the destination, and puts the earlier ones before them."""
    ours = [copied(run, here) for run in resumed]
    assert official.sync("-p", project, ours[1]).exit_code == 0
    done = backhaul.sync(here, "-p", project)
    assert done.exit_code == 0, done.stderr
    _assert_whole(held(depot.data, project, "resumed"))


def test_a_later_part_goes_on_after_what_the_official_client_sent(
    backhaul: Backhaul, official: Official, depot: DepotProcess, resumed: list[Path], here: Path, project: str
) -> None:
    """And the earlier part is proved without a row being sent again."""
    ours = [copied(run, here) for run in resumed]
    assert official.sync("-p", project, ours[0]).exit_code == 0
    done = backhaul.sync(ours[1], "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    _assert_whole(held(depot.data, project, "resumed"))
    with FaultProxy(depot.url) as proxy:
        done = backhaul.to(proxy.url).sync(ours[0], "-p", project)
        assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
        assert not list(proxy.lines())
    _assert_whole(held(depot.data, project, "resumed"))


def test_an_official_sync_that_broke_off_is_finished(
    backhaul: Backhaul, official: Official, depot: DepotProcess, healthy: Path, project: str
) -> None:
    """What it brought counts as there; the rest follows, and the end, which it never told."""
    with FaultProxy(depot.url) as proxy:
        proxy.on("file_stream", stall, skip=1)
        with official.to(proxy.url).started("-p", project, healthy):
            proxy.wait_for("file_stream", 2)
    before = held(depot.data, project, "healthy")
    assert before.run.state == "running"
    done = backhaul.sync(healthy, "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    there = held(depot.data, project, "healthy")
    assert [row["loss"] for row in there.rows] == [1 / (step + 1) for step in range(300)]
    assert (len(there.console), there.run.state) == (31, "finished")


_ONLINE = """
    import os, sys, wandb
    run = wandb.init(project=sys.argv[1], id="online", mode="online",
                     settings=wandb.Settings(x_disable_stats=True, x_file_stream_transmit_interval=0.2))
    for number in range(4000):
        run.log({"number": number, "text": "x" * 40})
        if number % 100 == 0:
            print("line", number)
    print("logged", file=sys.__stderr__, flush=True)
    sys.stdin.read()
"""


def test_a_log_that_lacks_the_last_rows_that_were_sent_is_proved(
    backhaul: Backhaul, official: Official, depot: DepotProcess, healthy: Path, tmp_path: Path, project: str
) -> None:
    """A killed process leaves whole blocks of its log; the server keeps the newer rows that it has, and their end."""
    assert official.sync("-p", project, copied(healthy, tmp_path / "whole")).exit_code == 0
    before = held(depot.data, project, "healthy")
    log = log_of(healthy)
    log.write_bytes(log.read_bytes()[: 1 << 15])
    done = backhaul.sync(healthy, "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    assert 0 < done.only["streams"]["history"]["local"] < 300
    there = held(depot.data, project, "healthy")
    assert (there.history, there.summary, there.config) == (before.history, before.summary, before.config)
    assert (there.output, there.run.state) == (before.output, "finished")


@pytest.mark.soak
def test_an_online_run_whose_process_was_killed_is_proved_and_nothing_of_it_replaced(
    backhaul: Backhaul, depot: DepotProcess, sdk_env: dict[str, str], tmp_path: Path, project: str
) -> None:
    """Whatever of its rows came to the disk is shown to be at the server, and what is there stays."""
    with FaultProxy(depot.url) as proxy:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(_ONLINE), project],
            env=sdk_env | {"WANDB_BASE_URL": proxy.url, "WANDB_DIR": str(tmp_path)},
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stderr is not None
        assert any("logged" in line for line in process.stderr)
        while sum(stream == "wandb-history.jsonl" for stream, _, _ in proxy.lines()) < 4000:
            proxy.wait_for("file_stream", len(proxy.of("file_stream")) + 1)
        for each in [*psutil.Process(process.pid).children(recursive=True), process]:
            each.kill()
        process.communicate()
    (run,) = tmp_path.glob("wandb/run-*")
    before = held(depot.data, project, "online")
    assert len(before.rows) == 4000
    done = backhaul.sync(run)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    there = held(depot.data, project, "online")
    assert there.history == before.history
    assert there.summary == before.summary
    assert marker_of(run).exists()


def test_other_content_under_the_same_id_is_for_the_user_to_decide(
    backhaul: Backhaul, official: Official, depot: DepotProcess, plain: list[Path], here: Path, project: str
) -> None:
    """Named, with both ways out: a new id leaves what is there, `--force` puts the run in its place."""
    assert official.sync("-p", project, copied(plain[0], here / "first")).exit_code == 0
    other = copied(plain[1], here / "second")
    done = backhaul.sync(other, "-p", project)
    assert (done.exit_code, done.only["error"]["code"]) == (6, "remote-conflict"), done.stderr
    assert all(way in done.only["error"]["next"] for way in ("--id", "--force"))
    assert _rows(held(depot.data, project, "plain")) == _ALL[:4]
    assert backhaul.sync(other, "-p", project, "--id", "another").exit_code == 0
    assert _rows(held(depot.data, project, "another")) == _ALL[4:]
    done = backhaul.sync(other, "-p", project, "--force")
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    assert _rows(held(depot.data, project, "plain")) == _ALL[4:]


def test_what_somebody_else_wrote_over_a_run_that_was_sent_is_not_taken_for_ours(
    backhaul: Backhaul, depot: DepotProcess, plain: list[Path], tmp_path: Path, project: str
) -> None:
    """The ledger says that our rows are there, and others are: named before anything is sent; `--force` decides."""
    first, second = (copied(run, tmp_path / str(place)) for place, run in enumerate(plain))
    assert backhaul.sync(first, "-p", project).exit_code == 0
    assert backhaul.sync(second, "-p", project, "--force").exit_code == 0
    before = held(depot.data, project, "plain")
    log_of(first).touch()
    done = backhaul.sync(first, "-p", project)
    assert (done.exit_code, done.only["error"]["code"]) == (6, "remote-conflict"), done.stderr
    assert held(depot.data, project, "plain") == before
    done = backhaul.sync(first, "-p", project, "--force")
    assert (done.exit_code, done.only["error"]["code"]) == (10, "verification-failed"), done.stderr
    assert _rows(held(depot.data, project, "plain")) == [*_ALL[:4], *_ALL[8:]]
