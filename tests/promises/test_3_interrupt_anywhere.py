"""Promise 3: SIGKILL at any instant loses no acknowledged work, and a rerun converges on the same server state."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ..command import Backhaul, bare_env, copied, ledger_of, marker_of, record
from ..conftest import DepotProcess, StartDepot
from ..depot_contents import Held, held
from ..fault_proxy import Fault, FaultProxy, after, lose_answer, reset, stall

_ROWS = 4000
_RECORD = f"""
    import wandb
    run = wandb.init(project="recorded", id="long", config={{"rows": {_ROWS}}})
    with open("saved.txt", "w") as file:
        file.write("saved")
    run.save("saved.txt")
    for step in range({_ROWS}):
        run.log({{"loss": step / 7}})
        if step % 20 == 0:
            print("line", step)
    run.alert("title", "text")
    run.finish()
"""
# The same program with batches, and reads of the log, so small that a run of 4000 rows has some sixty of them.
_SMALL_BATCHES = """
import backhaul.sync.batch as batch, backhaul.wandblog.framing as framing
batch.BATCH_BYTES = framing._FIRST_READ = framing._READ = 4000
from backhaul.cli import main
main()
"""


@pytest.fixture(scope="module")
def long_original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with many rows and console lines; every row and line is unlike every other."""
    home = tmp_path_factory.mktemp("long")
    (made,) = record(_RECORD, home / "work", bare_env(home))
    return made


def _start(backhaul: Backhaul, run: Path, project: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", _SMALL_BATCHES, "sync", str(run), "-p", project],
        env=backhaul.env,
        cwd=backhaul.cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _kill(process: subprocess.Popen[bytes]) -> bool:
    """SIGKILL; True when the process was still at work."""
    process.kill()
    return process.wait(60) == -9


def _assert_each_line_once(there: Held, proxy: FaultProxy) -> None:
    assert [row["loss"] for row in there.rows] == [step / 7 for step in range(_ROWS)]
    assert there.console == [f"line {step}" for step in range(0, _ROWS, 20)]
    assert there.files["saved.txt"] == b"saved"
    numbers: dict[tuple[str, str], set[int]] = {}
    for stream, number, line in proxy.lines():
        if stream != "wandb-summary.json":
            numbers.setdefault((stream, line), set()).add(number)
    assert [line for line, under in numbers.items() if len(under) > 1] == []


def test_killed_at_ten_random_moments_the_run_arrives_once_and_whole(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, long_original: Path, tmp_path: Path, project: str
) -> None:
    """Whatever request is under way, and however far it is, when the process dies."""
    chance = random.Random(20)
    run, through = copied(long_original, tmp_path / "run"), backhaul.to(proxy.url)
    for _ in range(10):
        before, wanted = len(proxy.seen), chance.randint(1, 6)
        # It gets no further than this, however late we are.
        proxy.hold_after(wanted + 1)
        process = _start(through, run, project)
        while len(proxy.seen) < before + wanted and process.poll() is None:
            time.sleep(0.001)
        time.sleep(chance.random() * 0.02)
        assert _kill(process), "the sync ended before it could be killed; the run is too short"
        proxy.let_go()
        assert not marker_of(run).exists()
    done = through.sync(run, "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    _assert_each_line_once(held(depot.data, project, "long"), proxy)


_POINTS = [
    ("RunResumeStatus", 0),
    ("ServerFeaturesQuery", 0),
    ("UpsertBucket", 0),
    ("file_stream", 0),
    ("file_stream", 20),
    ("UpsertBucket", 1),
    ("put", 0),
    ("NotifyScriptableRunAlert", 0),
    ("file_stream", 0),
    ("RunResumeStatus", 1),
]


def test_killed_before_and_after_every_kind_of_request_the_run_arrives_once_and_whole(
    backhaul: Backhaul, depot: DepotProcess, long_original: Path, tmp_path: Path, project: str
) -> None:
    """One run, killed at each point twice: before the server hears of the request, and before the client hears back."""
    run = copied(long_original, tmp_path / "run")
    kills = 0
    with FaultProxy(depot.url) as proxy:
        through = backhaul.to(proxy.url)
        for kind, skip in _POINTS:
            for then in (reset, lose_answer):
                kills += _killed_at(through, proxy, run, project, kind, skip, then)
        assert kills == 2 * len(_POINTS), "not every point was reached"
        done = through.sync(run, "-p", project)
        assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
        there = held(depot.data, project, "long")
        _assert_each_line_once(there, proxy)
        assert there.alerts <= 2, "an alert is somebody's mail: at most the one whose answer was lost is sent again"


def _killed_at(
    backhaul: Backhaul, proxy: FaultProxy, run: Path, project: str, kind: str, skip: int, then: Fault
) -> bool:
    """Kill the sync while its request of `kind` is held; the request then meets its fate without a client."""
    proxy.heal()
    released = threading.Event()
    proxy.on(kind, after(released, then), skip=skip)
    before = len(proxy.of(kind))
    process = _start(backhaul, run, project)
    while len(proxy.of(kind)) <= before + skip and process.poll() is None:
        time.sleep(0.001)
    killed = _kill(process)
    released.set()
    return killed


def test_a_depot_that_is_killed_comes_back_with_every_acknowledged_line(
    backhaul: Backhaul, start_depot: StartDepot, long_original: Path, tmp_path: Path, project: str
) -> None:
    """The server may lose its power too: what it acknowledged is there, and the same command brings the rest."""
    run, data = copied(long_original, tmp_path / "run"), tmp_path / "depot"
    first = start_depot(data)
    with FaultProxy(first.url) as proxy:
        proxy.on("file_stream", stall, skip=10)
        process = _start(backhaul.to(proxy.url, first.api_key), run, project)
        proxy.wait_for("file_stream", 10)
        first.kill()
        acknowledged = [seen for seen in proxy.of("file_stream") if seen.status == 200]
        assert _kill(process)
    promised = {
        number
        for seen in acknowledged
        for part in [seen.json["files"].get("wandb-history.jsonl")]
        if part
        for number in range(part["offset"], part["offset"] + len(part["content"]))
    }
    second = start_depot(data)
    assert promised <= held(data, project, "long").history.keys()
    done = backhaul.to(second.url, second.api_key).sync(run, "-p", project)
    assert done.exit_code == 0, done.stderr
    assert len(held(data, project, "long").rows) == _ROWS


def test_a_damaged_ledger_costs_only_time(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, healthy: Path, project: str
) -> None:
    """A torn or flipped ledger is asked of the server again; nothing is sent under another number."""
    through = backhaul.to(proxy.url)
    assert through.sync(healthy, "-p", project).exit_code == 0
    before = held(depot.data, project, "healthy")
    whole = ledger_of(healthy).read_bytes()
    for damaged in (whole[:-7], whole[:100], b"", bytes([whole[0] ^ 1]) + whole[1:], b"\x00" * len(whole)):
        ledger_of(healthy).write_bytes(damaged)
        done = through.sync(healthy, "-p", project)
        assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    there = held(depot.data, project, "healthy")
    assert (there.history, there.events) == (before.history, before.events)
    assert there.console == before.console
    assert len({(stream, number) for stream, number, _ in proxy.lines()}) == len(
        {(stream, number, line) for stream, number, line in proxy.lines()}
    )
