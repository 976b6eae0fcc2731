"""A run that is still being recorded: sent as it grows, by a real SDK process that writes while `sync` runs."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..command import Backhaul, end, kill, marker_of
from ..conftest import DepotProcess
from ..depot_contents import held
from ..fault_proxy import FaultProxy
from ..growing_job import GrowingJob, growing_job
from ..short_steps import short_steps

Follow = Callable[[], subprocess.Popen[str]]


@pytest.fixture
def job(sdk_env: dict[str, str], tmp_path: Path) -> Iterator[GrowingJob]:
    """The job, which has logged its first rows."""
    (folder := tmp_path / "job").mkdir()
    with growing_job(sdk_env, folder) as started:
        yield started


@pytest.fixture
def follow(
    backhaul: Backhaul, proxy: FaultProxy, project: str, job: GrowingJob
) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts `backhaul sync --live` on the job's run; all of them end with the test."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        through = backhaul.to(proxy.url)
        started.append(through.start("sync", job.run, "-p", project, "--json", "--live", "--live-every", "0.5"))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            kill(process)


def _wait_for_row(proxy: FaultProxy, number: int) -> None:
    """Return when the row of this number has been sent."""
    count = len(proxy.of("file_stream"))
    while not any(stream == "wandb-history.jsonl" and line >= number for stream, line, _ in proxy.lines()):
        proxy.wait_for("file_stream", count + 1)
        count = len(proxy.of("file_stream"))


def test_a_growing_run_is_followed_to_its_end_through_a_kill_of_ours(
    depot: DepotProcess, proxy: FaultProxy, project: str, job: GrowingJob, follow: Follow
) -> None:
    """Rows arrive while the job lives, each once; until its end the run is running there, and not marked here."""
    first = follow()
    _wait_for_row(proxy, 100)
    job.log()
    _wait_for_row(proxy, 300)
    kill(first)
    assert (held(depot.data, project, "alive").run.state, marker_of(job.run).exists()) == ("running", False)
    second = follow()
    job.log()
    _wait_for_row(proxy, 500)
    job.finish()
    done = end(second)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    there = held(depot.data, project, "alive")
    assert [row["loss"] for row in there.rows] == list(range(600))
    assert (there.run.state, there.run.exit_code, marker_of(job.run).exists()) == ("finished", 0, True)


def test_a_dead_writer_is_noticed_and_said(
    depot: DepotProcess, proxy: FaultProxy, project: str, job: GrowingJob, follow: Follow
) -> None:
    """Ctrl-C of ours leaves the run running and lists what it had reached; a killed job ends the next one by itself."""
    first = follow()
    _wait_for_row(proxy, 100)
    job.log()
    _wait_for_row(proxy, 300)
    first.send_signal(signal.SIGINT)
    stopped = end(first)
    assert (stopped.exit_code, stopped.only["error"]["code"]) == (130, "interrupted")
    assert stopped.only["streams"]["history"]["remote"] > 100
    assert held(depot.data, project, "alive").run.state == "running"
    second = follow()
    job.log()
    _wait_for_row(proxy, 500)
    job.kill()
    done = end(second)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    assert any("process that wrote it is gone" in note for note in done.only["notes"])
    rows = held(depot.data, project, "alive").rows
    assert [row["loss"] for row in rows] == list(range(len(rows)))
    assert held(depot.data, project, "alive").run.state == "failed"


def test_without_live_each_sync_of_a_growing_run_sends_what_is_new(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, project: str, job: GrowingJob
) -> None:
    """Again and again, as from a crontab: exit 5, running there, nothing marked, no row twice; then it is verified."""
    through = backhaul.to(proxy.url)
    for _ in range(2):
        done = through.sync(job.run, "-p", project)
        assert (done.exit_code, done.only["state"]) == (5, "recording"), done.stderr
        assert (held(depot.data, project, "alive").run.state, marker_of(job.run).exists()) == ("running", False)
        job.log()
    job.finish()
    assert through.sync(job.run, "-p", project).exit_code == 0
    numbers = [number for stream, number, _ in proxy.lines() if stream == "wandb-history.jsonl"]
    assert numbers == list(range(600))
    assert held(depot.data, project, "alive").run.state == "finished"


def test_a_long_run_is_not_read_from_its_start_in_each_round(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, project: str, job: GrowingJob, tmp_path: Path
) -> None:
    """A round goes on near where the one before it ended; only the last one holds all of the log against its digest."""
    command = short_steps(backhaul.to(proxy.url), tmp_path / "notes")
    for _ in range(3):
        job.log()
    following = command.start("sync", job.run, "-p", project, "--json", "--live", "--live-every", "0.5")
    for rows in (800, 1000, 1200):
        # What the SDK has not written yet may be missing; what is there, this round has read to its end.
        _wait_for_row(proxy, rows - 40)
        job.log()
    job.finish()
    done = end(following)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    assert [row["loss"] for row in held(depot.data, project, "alive").rows] == list(range(1400))
    starts = [number for what, number in command.notes if what == "from"]
    assert len(set(starts)) >= 2
    assert starts == sorted(starts)
    assert starts[0] > 100_000
    assert [what for what, _ in command.notes].count("hash") == 1
    assert command.notes[-2:][0][0] == "hash"
