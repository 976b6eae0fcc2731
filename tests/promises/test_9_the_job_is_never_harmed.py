"""Promise 9: the training job is never harmed. The wrapper's failure is not the job's failure."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..command import OBEYING_PERMISSIONS, RECORDED, Backhaul
from ..small_disk import fill, small_disk
from ..waiting import until

# What a training job does as far as a wrapper can see: reads, writes to both outputs, makes a run, ends with a code.
_JOB = """
import os, shutil, sys
sys.stdout.buffer.write(sys.stdin.buffer.read())
sys.stderr.write("an error line\\n")
place = os.path.join(os.environ["WANDB_DIR"], "wandb", "offline-run-20260101_000000-made")
try:
    os.makedirs(place)
    shutil.copyfile(sys.argv[1], os.path.join(place, "run-made.wandb"))
except OSError:
    pass
print("done", flush=True)
sys.exit(7)
"""
(_LOG,) = RECORDED.glob("0.31.0/offline-run-*/*.wandb")
_INPUT = bytes(range(256)) * 64


def _wrapped(*options: str, job: str = _JOB) -> list[str]:
    return [sys.executable, "-m", "backhaul", "run", *options, "--", sys.executable, "-c", job, str(_LOG)]


def _assert_as_alone(
    backhaul: Backhaul, *options: str, prefix: tuple[str, ...] = (), deadline: int = 1, **env: str
) -> str:
    """Run the job under the wrapper: input, output and exit code are the job's own. What was said beside it."""
    done = subprocess.run(
        [*prefix, *_wrapped("--deadline", str(deadline), *options)],
        env=backhaul.env | env,
        cwd=backhaul.cwd,
        input=_INPUT,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == _INPUT + b"done\n"
    lines = done.stderr.decode().splitlines()
    assert [line for line in lines if not line.startswith("backhaul: ")] == ["an error line"]
    assert done.returncode == 7
    return done.stderr.decode()


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB on which nothing more can be written."""
    with small_disk(tmp_path / "full", 1) as place:
        fill(place)
        yield place


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Takes connections, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_full_disk(backhaul: Backhaul, full_disk: Path) -> None:
    """Neither state, nor home, nor the log of what we say can be written."""
    homes = {"HOME": str(full_disk), "WANDB_DIR": str(full_disk), "TMPDIR": str(full_disk)}
    said = _assert_as_alone(backhaul, deadline=100, **homes)
    assert "is 100% full" in said
    _assert_as_alone(backhaul, "--log", str(full_disk / "log"), **homes)


def test_an_unwritable_state_folder(backhaul: Backhaul) -> None:
    """What cannot be kept is told, and the job is none the wiser."""
    Path(backhaul.env["HOME"]).chmod(0o555)
    said = _assert_as_alone(backhaul, prefix=OBEYING_PERMISSIONS, deadline=100)
    assert "cannot be written" in said


@pytest.mark.parametrize(
    "broken",
    [
        {"WANDB_BASE_URL": "no address", "WANDB_CONFIG_DIR": "/dev/null", "XDG_STATE_HOME": "/dev/null"},
        {
            "WANDB_HTTP_TIMEOUT": "soon",
            "WANDB_API_KEY": "",
            "BACKHAUL_JOB": "nonsense",
            "SLURM_LOCALID": "x",
            "RANK": "-1",
        },
    ],
)
def test_broken_settings(backhaul: Backhaul, broken: dict[str, str]) -> None:
    """They are for the sync, which fails; the job has no part in that."""
    _assert_as_alone(backhaul, **broken)


@pytest.mark.parametrize(
    ("module", "later"),
    [("aiohttp", "in the queue, nothing is lost. By hand: backhaul sync"), ("google", "lost. Later: backhaul sync")],
)
def test_a_broken_installation(backhaul: Backhaul, tmp_path: Path, module: str, later: str) -> None:
    """A library, or a part of our own, that fails at its import: the bug is ours, and so is the failure."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sitecustomize.py").write_text(f"import sys; sys.modules[{module!r}] = None\n")
    said = _assert_as_alone(backhaul, deadline=100, PYTHONPATH=str(tmp_path / "broken"))
    assert later in said


_BUG = """
from backhaul.unattended.errands import Errands
from backhaul.unattended.wrapper import _Wrapper as Wrapper

def bug(*arguments, **named):
    raise RuntimeError("a bug of ours")

{place} = bug
"""


@pytest.mark.parametrize(
    "place",
    [
        *(f"Wrapper.{name}" for name in ("__init__", "_watching", "_step", "_reap", "_on_event")),
        *(f"Errands.{name}" for name in ("__init__", "go_on", "_start_sync", "finish")),
    ],
)
def test_a_bug_in_the_wrapper_itself(backhaul: Backhaul, tmp_path: Path, place: str) -> None:
    """Wherever it is: the job starts, goes on, and ends with its own code; and the bug is told."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sitecustomize.py").write_text(_BUG.format(place=place))
    said = _assert_as_alone(backhaul, PYTHONPATH=str(tmp_path / "broken"))
    assert "a bug of ours. The job is not concerned." in said


def test_the_first_process_of_a_container(backhaul: Backhaul) -> None:
    """It cannot die by a signal, so it ends with the shell's number; what the job leaves behind is reaped."""
    container = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
    killed = backhaul("run", "--no-sync", "--", "sh", "-c", "kill -9 $$", prefix=container)
    assert killed.exit_code == 128 + signal.SIGKILL
    counted = "left=$(grep -l 'State:.Z' /proc/[0-9]*/status | wc -l)"
    soon = f"for i in {{1..600}}; do {counted}; [ $left = 0 ] && break; sleep 0.1; done"
    orphan = f"setsid sh -c 'exit 0' & disown; sleep 0.3; {soon}; echo $left; exit 7".replace("$", "\\$")
    job = f'bash -c "{orphan}" & wait $!'
    left = backhaul(
        "run", "--no-sync", "--", "bash", "-c", f"(setsid sleep 0.1 &) ; sleep 0.6; {job}", prefix=container
    )
    assert (left.exit_code, left.stdout) == (7, "0\n")


def test_a_server_that_hangs(backhaul: Backhaul, silent_server: str) -> None:
    """The deadline ends the waiting."""
    said = _assert_as_alone(backhaul, WANDB_BASE_URL=silent_server)
    assert "nothing is lost" in said


def test_a_project_with_modules_named_like_pythons_own(backhaul: Backhaul) -> None:
    """What lies in the current folder is the job's, and none of ours."""
    for name in ("json", "asyncio", "queue", "google", "select"):
        (backhaul.cwd / f"{name}.py").write_text("raise SystemExit(99)\n")
    job = ["sh", "-c", "exit 7"]
    done = subprocess.run(
        ["backhaul", "run", "--deadline", "100", *job],
        env=backhaul.env,
        cwd=backhaul.cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 7
    assert "no offline run" in done.stderr


def test_a_removed_folder_and_no_standard_error(backhaul: Backhaul) -> None:
    """Neither is ours to insist on."""
    (backhaul.cwd / "gone").mkdir()
    line = "backhaul run --log ../said --deadline 100 -- sh -c '[ -e /proc/self/fd/2 ] && echo open; echo here; exit 7'"
    done = subprocess.run(
        ["bash", "-c", f"rmdir $PWD; {line} 2>&-"],
        env={name: value for name, value in backhaul.env.items() if name != "WANDB_DIR"},
        cwd=backhaul.cwd / "gone",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (7, "here\n")
    assert (backhaul.cwd / "said").read_text().endswith("backhaul: the job has recorded no offline run\n")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGUSR1])
def test_a_job_that_dies_by_a_signal(backhaul: Backhaul, number: signal.Signals) -> None:
    """Whoever waits for us sees the same signal."""
    done = backhaul("run", "--no-sync", "--", "sh", "-c", f"kill -{number.name[3:]} $$")
    assert done.exit_code == -number


@pytest.mark.parametrize(("name", "code"), [("no-such-program", 127), ("./plain", 126), ("./script", 5)])
def test_what_cannot_be_started_ends_as_in_a_shell(backhaul: Backhaul, name: str, code: int) -> None:
    """127 when there is no such program, 126 when it cannot be started; a script without `#!` goes to the shell."""
    (backhaul.cwd / "plain").write_text("exit 6\n")
    (backhaul.cwd / "script").write_text("exit 5\n")
    (backhaul.cwd / "script").chmod(0o755)
    assert backhaul("run", "--no-sync", name).exit_code == code


def test_open_files_environment_and_ignored_signals_are_the_jobs(backhaul: Backhaul) -> None:
    """Descriptors beyond the three, the user's own settings of wandb, and `nohup`."""
    job = (
        "echo three >&3; echo $WANDB_MODE $WANDB__TRANSACTION_LOG_FLUSH_INTERVAL;"
        "grep SigIgn /proc/self/status; exec 3>&-; ls /proc/self/fd | wc -l"
    )
    line = f"trap '' HUP; exec {{}} sh -c '{job}' 3>three"

    def said(wrapper: str, env: dict[str, str]) -> list[str]:
        shell = ["bash", "-c", line.format(wrapper)]
        done = subprocess.run(
            shell, env=backhaul.env | env, cwd=backhaul.cwd, capture_output=True, text=True, timeout=120, check=True
        )
        assert (backhaul.cwd / "three").read_text() == "three\n"
        return done.stdout.splitlines()

    alone = said("env", {"WANDB_MODE": "online", "WANDB__TRANSACTION_LOG_FLUSH_INTERVAL": "3"})
    assert alone[0] == "online 3"
    wrapped = said("backhaul run --no-sync", {"WANDB_MODE": "online", "WANDB__TRANSACTION_LOG_FLUSH_INTERVAL": "3"})
    assert wrapped == alone
    assert said("backhaul run --no-sync", {})[0] == "offline 1"


_TELLS_SIGNALS = """
import os, signal, sys, time
got = []
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP):
    signal.signal(number, lambda number, frame: got.append(signal.Signals(number).name))
# Python forgets signals that come to a new process before it has begun: it says when that is over.
listening, begun = os.pipe()
child = os.fork()
if child:
    os.read(listening, 1)
    print("ready", os.getpid(), child, os.getppid(), flush=True)
else:
    os.write(begun, b"x")
latest = time.monotonic() + 60
while not set(got).issuperset(sys.argv[2:]) and time.monotonic() < latest:
    time.sleep(0.02)
# Time for more, if more comes.
enough = time.monotonic() + 0.7
while time.monotonic() < enough:
    time.sleep(0.02)
if child:
    os.waitpid(child, 0)
with open(sys.argv[1] + str(bool(child)), "w") as file:
    file.write(" ".join(got))
"""


def _telling(backhaul: Backhaul, place: Path, *awaited: str) -> tuple[subprocess.Popen[str], list[int]]:
    """A job that tells in two files beside `place` which signals came, some time after those that are awaited."""
    job = [sys.executable, "-c", _TELLS_SIGNALS, str(place), *awaited]
    started = subprocess.Popen(
        [sys.executable, "-m", "backhaul", "run", "--no-sync", "--", *job],
        env=backhaul.env,
        cwd=backhaul.cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert started.stdout is not None
    return started, [int(word) for word in started.stdout.readline().split()[1:]]


def _ended(started: subprocess.Popen[str]) -> int:
    started.communicate(timeout=60)
    return started.returncode


def test_a_signal_to_us_reaches_the_whole_job_once(backhaul: Backhaul, tmp_path: Path) -> None:
    """The job and what it has started; each signal once."""
    started, _ = _telling(backhaul, tmp_path / "got", "SIGHUP", "SIGUSR1", "SIGTERM")
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM):
        started.send_signal(number)
    assert _ended(started) == 0
    for who in ("True", "False"):
        assert sorted((tmp_path / f"got{who}").read_text().split()) == ["SIGHUP", "SIGTERM", "SIGUSR1"]


def test_a_signal_that_was_sent_to_all_processes_is_not_sent_again(backhaul: Backhaul, tmp_path: Path) -> None:
    """Slurm and systemd, when they stop a job, signal every process; a job takes a second one for impatience."""
    started, (job, child, _) = _telling(backhaul, tmp_path / "got", "SIGTERM")
    others = [int(pid) for pid in Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()]
    # They come at the same moment, also where we who send them are held up in between.
    started.send_signal(signal.SIGSTOP)
    for pid in {started.pid, *others, job, child}:
        os.kill(pid, signal.SIGTERM)
    for pid in others:
        until(lambda pid=pid: _has_taken_all(pid), "the signal has come")
    started.send_signal(signal.SIGCONT)
    assert _ended(started) == 0
    assert (tmp_path / "gotTrue").read_text() == (tmp_path / "gotFalse").read_text() == "SIGTERM"


def _has_taken_all(pid: int) -> bool:
    """Whether no signal waits for this process to be let run."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return all(int(line.split()[1], 16) == 0 for line in lines if line.startswith(("SigPnd", "ShdPnd")))


def test_a_word_of_warning_does_not_end_a_job_that_does_not_listen(backhaul: Backhaul) -> None:
    """SIGUSR1 ends whoever does not catch it; the scheduler meant us."""
    job = "import sys, time; print('ready', flush=True); time.sleep(60)"
    started = backhaul.start("run", "--no-sync", "--", sys.executable, "-c", job, new_session=True)
    assert started.stdout is not None
    started.stdout.readline()
    started.send_signal(signal.SIGUSR1)
    started.send_signal(signal.SIGUSR2)
    # Passed on after them, and meant for the job.
    started.send_signal(signal.SIGHUP)
    assert _ended(started) == -signal.SIGHUP


def test_the_job_outlives_the_wrapper(backhaul: Backhaul, tmp_path: Path) -> None:
    """Killed with SIGKILL, we are gone, and the lookout with us; the job goes on to its end."""
    started, (job, _, _) = _telling(backhaul, tmp_path / "got", "SIGTERM")
    (lookout,) = (
        int(pid)
        for pid in Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()
        if int(pid) != job
    )
    watched = os.pidfd_open(lookout)
    started.kill()
    _wait_for(watched)
    os.killpg(job, signal.SIGTERM)
    _ended(started)
    assert (tmp_path / "gotTrue").read_text() == "SIGTERM"


def _wait_for(pidfd: int) -> None:
    import select

    assert select.select([pidfd], [], [], 60)[0]
    os.close(pidfd)


def test_whoever_reads_the_jobs_output_sees_its_end_with_the_job(backhaul: Backhaul, silent_server: str) -> None:
    """None of our processes holds the pipe: `backhaul run … | tee` ends when the job does, not when the sync does."""
    read, write = os.pipe()
    job = f"import shutil, sys; sys.argv[1:] = [{str(_LOG)!r}]\n{_JOB}"
    started = subprocess.Popen(
        [sys.executable, "-m", "backhaul", "run", "-q", "--deadline", "4", "--", sys.executable, "-c", job],
        env=backhaul.env | {"WANDB_BASE_URL": silent_server},
        cwd=backhaul.cwd,
        stdin=subprocess.DEVNULL,
        stdout=write,
        stderr=write,
    )
    os.close(write)
    with os.fdopen(read, "rb") as file:
        assert file.read() == b"an error line\ndone\n"
    assert started.poll() is None
    assert started.wait(60) == 7


_ON_A_TERMINAL = """
import os, signal, sys, time
got = []
signal.signal(signal.SIGINT, lambda *_: got.append("INT"))
print(*(os.isatty(n) for n in (0, 1, 2)), os.tcgetpgrp(0) == os.getpgrp(), input(), flush=True)
while not got:
    time.sleep(0.01)
time.sleep(0.5)
print("interrupts", len(got), flush=True)
sys.exit(9)
"""


def test_a_terminal_is_the_jobs(backhaul: Backhaul) -> None:
    """It is in the foreground, reads the keyboard, and Ctrl-C comes to it once."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(backhaul.cwd)
        line = [sys.executable, "-m", "backhaul", "run", "--no-sync", "--", sys.executable, "-c", _ON_A_TERMINAL]
        os.execve(sys.executable, line, backhaul.env)
    os.write(terminal, b"typed\n")
    shown = _until(terminal, b"True typed")
    assert b"True True True True typed" in shown
    os.write(terminal, b"\x03")
    assert b"interrupts 1" in _until(terminal, b"interrupts")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    os.close(terminal)


def _until(terminal: int, words: bytes) -> bytes:
    shown = b""
    alarm = threading.Timer(60, os.close, [terminal])
    alarm.start()
    while words not in shown or not shown.endswith(b"\n"):
        shown += os.read(terminal, 4096)
    alarm.cancel()
    return shown


def test_the_promise_is_about_a_job_that_would_be_noticed() -> None:
    """The tests above compare with the job as it runs alone."""
    assert shutil.which("backhaul", path=str(Path(sys.executable).parent))
    done = subprocess.run(
        [sys.executable, "-c", _JOB, str(_LOG)], input=_INPUT, capture_output=True, env={"WANDB_DIR": "/dev/null"},
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (7, _INPUT + b"done\n", b"an error line\n")
