"""`backhaul watch`: runs come home by themselves, whatever happens to the watcher, the jobs and the network."""

from __future__ import annotations

import os
import signal
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from backhaul.unattended.queue.entry import QueueState
from backhaul.unattended.queue.opening import open_queue

from ..command import Backhaul, copy_of, id_of, marker_of
from ..conftest import DepotProcess
from ..depot_contents import held
from ..fault_proxy import FaultProxy, reset, stall
from ..growing_job import GrowingJob, growing_job
from ..postgres import postgres_server, postgres_url
from ..renamed_run import renamed
from ..waiting import until
from ..watching import Start, Watching

__all__ = ["postgres_server", "postgres_url"]


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    """The folder that is watched."""
    (folder := tmp_path / "jobs").mkdir()
    return folder


@pytest.fixture
def start(backhaul: Backhaul, project: str) -> Iterator[Start]:
    """Starts watchers that look often and send to the test's project; they end with the test."""
    started: list[Watching] = []

    def begin(*arguments: object, by: Backhaul = backhaul) -> Watching:
        started.append(Watching(by, "-p", project, "--poll", "0.5", *arguments))
        started[-1].until("watching")
        return started[-1]

    yield begin
    for watching in started:
        watching.kill()


@pytest.fixture
def job(sdk_env: dict[str, str], jobs: Path) -> Iterator[GrowingJob]:
    """A real job, which has logged its first rows."""
    with growing_job(sdk_env, jobs) as started:
        yield started


def _states(backhaul: Backhaul) -> dict[str, str]:
    with open_queue(str(backhaul.state / "queue.db")) as queue:
        return {item.entry.directory.run_id_hint: str(item.state) for item in queue.items()}


def _says(backhaul: Backhaul) -> list[str]:
    return [worker["says"] for worker in backhaul("queue", "list", "--json").document["workers"]]


def test_runs_come_home_as_they_come(start: Start, backhaul: Backhaul, jobs: Path, tmp_path: Path) -> None:
    """Those that were there, and those that come; one that cannot be sent is told with its reason."""
    first = copy_of("0.18.7", jobs)
    (empty := copy_of("0.31.0", jobs) / "other.wandb").touch()
    os.utime(empty, (1_600_000_000, 1_600_000_000))
    figures = tmp_path / "backhaul.prom"
    watching = start(
        jobs, jobs.parent / "not-there-yet", "--metrics-port", "0", "--metrics-file", figures, "--lease", "12"
    )
    address = watching.told("metrics")[0]["address"]
    watching.until("verified", path=str(first))
    assert marker_of(first).exists()
    second = copy_of("0.22.3", jobs / "deep" / "below")
    watching.until("verified", path=str(second))
    shown = backhaul("queue", "list", "--all", "--json").document
    assert shown["counts"] == {
        "recording": 0, "pending": 0, "sending": 0, "blocked": 0, "verified": 3, "quarantined": 1, "dropped": 0,
    }  # fmt: skip
    assert {run["error"]["code"] for run in shown["runs"] if run["error"]} == {"empty-log"}
    # What a worker says of itself is as old as its last beat.
    until(lambda: _says(backhaul) == ["0 on their way, 0 followed"], "it says that it has nothing to do")
    metrics = urllib.request.urlopen(address).read().decode()
    assert 'backhaul_tries_total{result="verified"} 3.0' in metrics
    assert 'backhaul_line_up{to="http' in metrics
    assert watching.stop() == 0
    assert watching.told("stopped")[0]["cut_off"] is False
    assert 'backhaul_runs{state="verified"}' in figures.read_text()
    assert backhaul("queue", "list", "--json").document["workers"] == []


def test_a_killed_watcher_goes_on_where_it_was(start: Start, backhaul: Backhaul, jobs: Path, proxy: FaultProxy) -> None:
    """By SIGKILL in the middle of a run: the next one takes it up at once, and says that somebody died."""
    run = copy_of("0.18.7", jobs)
    proxy.on("file_stream", stall)
    watching = start(jobs, by=backhaul.to(proxy.url))
    proxy.wait_for("file_stream")
    watching.kill()
    again = start(jobs, by=backhaul.to(proxy.url))
    again.until("verified", path=str(run))
    assert len(again.told("released")) == 1


def test_a_dead_line_costs_no_run_an_attempt(start: Start, backhaul: Backhaul, jobs: Path, proxy: FaultProxy) -> None:
    """It is probed until it works; then everything goes."""
    run, other = copy_of("0.18.7", jobs), copy_of("0.22.3", jobs)
    proxy.always("Viewer", reset)
    watching = start(jobs, "--lease", "12", by=backhaul.to(proxy.url))
    assert watching.until("line")["error"]["code"] == "connection-lost"
    assert "attempts" not in watching.until("blocked")
    assert proxy.of("file_stream") == []
    assert proxy.of("UpsertBucket") == []
    proxy.heal()
    watching.until("line")
    for _ in range(2):
        watching.until("verified")
    assert set(_states(backhaul)) == {id_of(run), id_of(other)}


def test_a_run_is_left_alone_until_its_job_has_ended(
    start: Start, backhaul: Backhaul, jobs: Path, job: GrowingJob, depot: DepotProcess, project: str
) -> None:
    """Also when the job is killed, which changes nothing on the disk."""
    watching = start(jobs)
    watching.until("noticed", state="recording")
    assert _states(backhaul) == {"alive": "recording"}
    job.kill()
    watching.until("verified")
    assert len(held(depot.data, project, "alive").history) > 0


def test_a_run_is_followed_while_it_grows_when_that_is_asked_for(
    start: Start, jobs: Path, job: GrowingJob, depot: DepotProcess, project: str, proxy: FaultProxy,
    backhaul: Backhaul,
) -> None:  # fmt: skip
    """Rows arrive while the job runs; to stop is not held up by it, and the next watcher goes on."""
    watching = start(jobs, "--live", "--live-every", "0.5", by=backhaul.to(proxy.url))
    proxy.wait_for("file_stream", 1)
    assert watching.stop() == 0
    assert watching.told("pending")[0]["code"] == "terminated"
    again = start(jobs, "--live", "--live-every", "0.5")
    job.finish()
    again.until("verified")
    assert len(held(depot.data, project, "alive").history) == 200


def test_what_is_under_way_is_finished_before_it_ends(
    start: Start, backhaul: Backhaul, jobs: Path, proxy: FaultProxy
) -> None:
    """Within --drain; what takes longer is cut off, told by the exit code, and due again without an attempt."""
    run = copy_of("0.18.7", jobs)
    proxy.on("file_stream", stall)
    cut = start(jobs, "--drain", "0.2", by=backhaul.to(proxy.url))
    proxy.wait_for("file_stream")
    assert cut.stop() == 143
    assert cut.told("stopped")[0]["cut_off"] is True
    with open_queue(str(backhaul.state / "queue.db")) as queue:
        (item,) = queue.items()
    assert (item.state, item.attempts, item.crashes) == (QueueState.PENDING, 0, 0)
    slow = start(jobs, by=backhaul.to(proxy.url))
    slow.until("verified", path=str(run))
    assert slow.stop(signal.SIGINT) == 0


def test_of_two_workers_one_is_killed_and_every_run_is_delivered_once(
    start: Start, jobs: Path, postgres_url: str, depot: DepotProcess, project: str, proxy: FaultProxy,
    backhaul: Backhaul,
) -> None:  # fmt: skip
    """They share a queue in PostgreSQL; the one dies by SIGKILL with runs in its hand."""
    source = copy_of("0.18.7", jobs.parent / "source")
    runs = [renamed(source, jobs / "wandb", f"twin{number:02}") for number in range(12)]
    proxy.always("file_stream", stall)
    options = (jobs, "--queue", postgres_url, "--lease", "12", "-j", "3")
    stuck = start(*options, by=backhaul.to(proxy.url))
    proxy.wait_for("file_stream", 3)
    alive = start(*options)
    stuck.kill()
    while len(alive.told("verified")) < len(runs):
        alive.until("verified")
    assert alive.stop() == 0
    with open_queue(postgres_url) as queue:
        assert {item.state for item in queue.items()} == {QueueState.VERIFIED}
        assert len(queue.items()) == len(runs)
    paths = [event["path"] for event in alive.told("verified")]
    assert sorted(paths) == sorted(map(str, runs))
    counts = {str(held(depot.data, project, id_of(run)).counts) for run in runs}
    assert len(counts) == 1


def test_systemd_is_told_how_it_is(backhaul: Backhaul, jobs: Path, start: Start, tmp_path: Path) -> None:
    """READY when it works, STATUS and WATCHDOG while it does, STOPPING when it ends."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(120)
        watching = start(jobs, by=backhaul.with_env(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="200000"))
        said: list[str] = []
        while {"READY=1", "STATUS", "WATCHDOG=1"} - {each.partition(" ")[0].partition("=0")[0] for each in said}:
            said.append(manager.recv(4096).decode())
        assert watching.stop() == 0
        while "STOPPING=1" not in said:
            said.append(manager.recv(4096).decode())


def test_wrong_settings_are_told_before_anything_begins(backhaul: Backhaul, jobs: Path) -> None:
    """As an event, since a program reads it; with the exit code of the error."""
    done = backhaul("watch", jobs, "--queue", "mysql://x", "--log-json")
    assert (done.exit_code, '"queue-place"' in done.stderr) == (4, True)
    assert backhaul("watch", jobs, "--bwlimit", "much").exit_code == 2
