"""`backhaul run` as users start it: the real SDK, real signals, a depot, a cloud's notices on loopback."""

from __future__ import annotations

import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

from ..command import RECORDED, Backhaul, copied, copy_of, end, id_of, log_of, marker_of
from ..conftest import DepotProcess
from ..depot_contents import held
from ..small_disk import small_disk
from ..waiting import until

_KILLED = """
    import os, pathlib, signal, sys, time, wandb
    folder = pathlib.Path(sys.argv[2])
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)

    def wait_for(what, seconds):
        until = time.monotonic() + seconds
        while not what() and time.monotonic() < until:
            time.sleep(0.05)

    run = wandb.init(project=sys.argv[1], id="killed", dir=str(folder))
    for step in range(20):
        run.log({"step": step})
    print("ready", flush=True)
    wait_for((folder / "go on").exists, 150)
    run.log({"step": 20, "the last one": True})
    # It is on the disk a second later; left to itself, the SDK would take fifteen.
    (log,) = folder.glob("wandb/offline-run-*/*.wandb")
    wait_for(lambda: b"the last one" in log.read_bytes(), 12)
    os.kill(os.getpid(), 9)
"""
# Logs until it is told to stop, and says when it has begun.
_LISTENING = """
    import signal, sys, time, wandb
    told = []
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda number, frame: told.append(number))
    run = wandb.init(project=sys.argv[1], id="listening")
    run.log({"step": 0})
    print("ready", flush=True)
    step = 1
    while signal.SIGTERM not in told:
        run.log({"step": step})
        step += 1
        time.sleep(0.05)
    run.finish()
    print("rows", step, flush=True)
    sys.exit(3)
"""
_RECORDS = """
import os, shutil, sys
shutil.copytree(sys.argv[1], os.path.join(os.environ["WANDB_DIR"], "wandb", os.path.basename(sys.argv[1])),
                copy_function=shutil.copyfile)
sys.exit(int(sys.argv[2]))
"""
(_RUN,) = RECORDED.glob("0.31.0/offline-run-*")
(_OTHER,) = RECORDED.glob("0.28.2/offline-run-*")


def _python(script: str, *arguments: object) -> tuple[str, ...]:
    return (sys.executable, "-c", textwrap.dedent(script), *map(str, arguments))


def _rows(depot: DepotProcess, project: str, run: str) -> list[int]:
    try:
        return [row["step"] for row in held(depot.data, project, run).rows]
    except (KeyError, LookupError, AssertionError):
        return []


def _wait_for_rows(depot: DepotProcess, project: str, run: str) -> None:
    until(lambda: _rows(depot, project, run), "rows are sent")


def _line(started: subprocess.Popen[str]) -> str:
    assert started.stdout is not None
    assert select.select([started.stdout], [], [], 120)[0]
    return started.stdout.readline()


def test_a_job_that_was_killed_is_home_when_the_command_ends(
    backhaul: Backhaul, depot: DepotProcess, project: str, tmp_path: Path
) -> None:
    """Its run was made in a folder that nobody named; all that it logged a second before its death is there."""
    (tmp_path / "elsewhere").mkdir()
    started = backhaul.start("run", "--", *_python(_KILLED, project, tmp_path / "elsewhere"), new_session=True)
    assert "ready" in _line(started)
    # What the job writes is looked at now and then: when its first rows are sent, it has been seen.
    started.send_signal(signal.SIGUSR1)
    _wait_for_rows(depot, project, "killed")
    (tmp_path / "elsewhere" / "go on").touch()
    done = end(started)
    assert done.exit_code == -signal.SIGKILL
    assert f"1 run verified at the server: tester/{project}/killed" in done.stderr
    assert _rows(depot, project, "killed") == list(range(21))
    (run,) = (tmp_path / "elsewhere" / "wandb").glob("offline-run-*")
    assert marker_of(run).exists()


def test_a_signal_drains(backhaul: Backhaul, depot: DepotProcess, project: str) -> None:
    """At USR1 what is recorded so far is sent while the job goes on; at TERM the job ends, and the rest is home."""
    started = backhaul.start("run", "--", *_python(_LISTENING, project), new_session=True)
    assert "ready" in _line(started)
    started.send_signal(signal.SIGUSR1)
    _wait_for_rows(depot, project, "listening")
    assert started.poll() is None
    started.send_signal(signal.SIGTERM)
    done = end(started)
    assert done.exit_code == 3, done.stderr
    assert "SIGUSR1 came: sending what is recorded so far" in done.stderr
    assert f"verified at the server: tester/{project}/listening" in done.stderr
    (number,) = (int(line.split()[1]) for line in done.stdout.splitlines())
    assert _rows(depot, project, "listening") == list(range(number))


class _Metadata(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        self._answer(200, b"token")

    def do_GET(self) -> None:
        if "preempted" in self.path:
            known = self.headers.get("Metadata-Flavor") == "Google"
            told = self.server.preempted.wait(120 if "wait_for_change=true" in self.path else 0)
            self._answer(200 if known else 403, b"TRUE" if told else b"FALSE")
            return
        known = self.headers.get("X-aws-ec2-metadata-token") == "token"
        planned = self.path == "/latest/meta-data/spot/instance-action"
        self._answer(200 if known and planned else 404, b'{"action": "terminate", "time": "2026-01-01T00:02:00Z"}')

    def _answer(self, status: int, text: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def _cloud() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Metadata)
    server.preempted = Event()
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_spot_interruption_drains(backhaul: Backhaul, depot: DepotProcess, project: str) -> None:
    """Before the machine is gone what is recorded is sent; also when the run begins only after the notice."""
    with _cloud() as cloud:
        options = ("--cloud", "aws", "--metadata-url", f"http://127.0.0.1:{cloud.server_port}")
        started = backhaul.start("run", *options, "--", *_python(_LISTENING, project), new_session=True)
        _line(started)
        _wait_for_rows(depot, project, "listening")
        started.send_signal(signal.SIGTERM)
        done = end(started)
    assert done.exit_code == 3
    assert "AWS announces: spot terminate at 2026-01-01T00:02:00Z: sending what is recorded so far" in done.stderr
    assert f"tester/{project}/listening" in done.stderr


_WAITS = """
    import signal, sys
    signal.signal(signal.SIGUSR2, lambda *_: sys.exit(5))
    print("ready", flush=True)
    signal.pause()
"""


def test_at_a_notice_the_job_gets_the_signal_that_was_asked_for(backhaul: Backhaul) -> None:
    """It comes with the answer that the cloud has held back until then."""
    with _cloud() as cloud:
        options = ("--cloud", "gcp", "--metadata-url", f"http://127.0.0.1:{cloud.server_port}")
        started = backhaul.start("run", *options, "--notice-signal", "USR2", "--no-sync", "--", *_python(_WAITS))
        _line(started)
        cloud.preempted.set()
        assert end(started).exit_code == 5


def test_one_of_several_ranks_brings_the_run_home(backhaul: Backhaul, project: str) -> None:
    """The others do not look for it; on another host with the same folder the lock of the ledger decides."""
    ranks = [
        backhaul.with_env(RANK=rank, LOCAL_RANK=local, WORLD_SIZE="3", WANDB_DIR=backhaul.env["WANDB_DIR"])
        for rank, local in (("1", "1"), ("0", "0"), ("2", "0"))
    ]
    run = copy_of("0.31.0", Path(backhaul.env["WANDB_DIR"]))
    started = [
        each.start("run", "--deadline", "100", "-p", project, "--", "sh", "-c", f"touch {log_of(run)}; exit 4")
        for each in ranks
    ]
    ended = [end(each) for each in started]
    assert [each.exit_code for each in ended] == [4, 4, 4]
    assert ended[0].stderr == ""
    said = ended[1].stderr + ended[2].stderr
    assert f"verified at the server: tester/{project}/{id_of(run)}" in said
    assert marker_of(run).exists()


def test_a_wrapper_in_a_wrapper_is_not_there(backhaul: Backhaul, project: str) -> None:
    """The outer one brings the run home, once."""
    inner = ("backhaul", "run", "-p", project, "--", *_python(_RECORDS, _RUN, 6))
    done = backhaul("run", "-p", project, "--", *inner)
    assert done.exit_code == 6
    assert done.stderr.count("verified at the server") == 1


def test_ctrl_c_while_it_sends_ends_it(backhaul: Backhaul) -> None:
    """The job is over; what is not home stays here, and the exit code is the job's."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        deaf = backhaul.to(f"http://127.0.0.1:{server.getsockname()[1]}")
        started = deaf.start("run", "--deadline", "50", "--", *_python(_RECORDS, _RUN, 6), new_session=True)
        server.settimeout(120)
        connection, _ = server.accept()
        with connection:
            started.send_signal(signal.SIGINT)
            done = end(started)
    assert done.exit_code == 6
    assert "nothing is lost" in done.stderr


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    with small_disk(tmp_path / "small", 8) as place:
        yield place


_FILLS = """
    import os, signal, sys, time
    told = []
    signal.signal(signal.SIGUSR2, lambda *_: told.append("told"))
    free = os.statvfs(sys.argv[1])
    with open(os.path.join(sys.argv[1], "checkpoint"), "wb") as file:
        file.write(bytes(int(free.f_bavail * free.f_frsize * 0.98)))
    until = time.monotonic() + 100
    while time.monotonic() < until and not (told and not os.path.exists(sys.argv[2])):
        time.sleep(0.05)
    sys.exit(len(told) + 10 * os.path.exists(sys.argv[2]))
"""


def test_a_disk_that_fills_is_cleaned_of_what_is_home_and_the_job_is_told(
    backhaul: Backhaul, disk: Path, healthy_original: Path, project: str
) -> None:
    """Verified runs go, others stay; the signal comes once."""
    home, other = copied(healthy_original, disk), copy_of("0.28.2", disk)
    assert backhaul.sync(home, "-p", project).exit_code == 0
    there = backhaul.with_env(WANDB_DIR=str(disk))
    guard = ("--on-disk", "clean", "--on-disk", "signal", "--disk-every", "0.1", "-p", project)
    done = there("run", *guard, "--", *_python(_FILLS, disk, home))
    assert done.exit_code == 1, done.stderr
    assert "full" in done.stderr
    assert (home.exists(), other.exists()) == (False, True)


def test_a_full_disk_at_the_start_links_media(backhaul: Backhaul, disk: Path) -> None:
    """wandb then links media files instead of copying them, unless the user has set it otherwise."""
    (disk / "data").write_bytes(bytes(int(7.9 * (1 << 20))))
    there = backhaul.with_env(WANDB_DIR=str(disk))
    shows = ("--no-sync", "--", "sh", "-c", "echo $WANDB_ALLOW_MEDIA_SYMLINK")
    assert there("run", "--on-disk", "link-media", *shows).stdout == "true\n"
    assert there("run", *shows).stdout == "\n"
    assert (
        there.with_env(WANDB_ALLOW_MEDIA_SYMLINK="false")("run", "--on-disk", "link-media", *shows).stdout == "false\n"
    )


def _queue(backhaul: Backhaul, *arguments: object) -> dict[str, tuple[str, str | None]]:
    """State and reason of each run in the queue, by run id."""
    listed = backhaul("queue", "list", "--all", "--json", *arguments).document["runs"]
    return {run["run_id"]: (run["state"], run["error"] and run["error"]["code"]) for run in listed}


def test_what_is_not_home_waits_in_the_queue(backhaul: Backhaul, tmp_path: Path, project: str) -> None:
    """With the reason, in the queue that was named; what is home is known as such; without a sync nothing is tried."""
    queue = ("--queue", tmp_path / "queue.db")
    nowhere = backhaul.to("http://127.0.0.1:1")
    assert nowhere("run", *queue, "--", *_python(_RECORDS, _RUN, 0)).exit_code == 0
    run = id_of(_RUN)
    assert _queue(backhaul, *queue) == {run: ("pending", "connection-refused")}
    assert backhaul("run", *queue, "-p", project, "--", "sh", "-c", "touch $WANDB_DIR/wandb/*/*.wandb").exit_code == 0
    assert _queue(backhaul, *queue) == {run: ("verified", None)}
    other = backhaul.with_env(WANDB_DIR=str(tmp_path / "other"))
    assert other("run", *queue, "--no-sync", "--", *_python(_RECORDS, _OTHER, 0)).exit_code == 0
    states = _queue(backhaul, *queue)
    assert [state for name, state in states.items() if name != run] == [("pending", None)]


def test_a_run_is_in_the_queue_while_its_job_goes_on(backhaul: Backhaul, project: str) -> None:
    """Job and wrapper may be killed at one blow."""
    started = backhaul.start("run", "--", *_python(_LISTENING, project), new_session=True)
    assert "ready" in _line(started)
    assert until(lambda: _queue(backhaul), "it is in the queue") == {"listening": ("recording", None)}
    started.send_signal(signal.SIGTERM)
    assert end(started).exit_code == 3
    assert _queue(backhaul) == {"listening": ("verified", None)}
