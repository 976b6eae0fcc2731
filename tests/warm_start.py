"""Commands that need not import the house first: each is forked from a process that has done so already.

Half a second of processor time stands before most commands' first own step, and the tests start hundreds of them.
What is forked is a process like any other, with its own number, environment, folder and files, and what belongs to the
command line is imported in it anew. Only commands that run to their end beside nobody are started so (`_WARM`);
everything that is to be killed, traced, or measured begins as it does for a user.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

_WARM = ("clean", "doctor", "export", "init", "pack", "queue", "receipt", "repair", "show", "status", "sync", "unpack",
         "verify")  # fmt: skip
# What Python itself looks at when it starts.
_READ_AT_THE_START = ("PYTHON", "LC_", "LD_")
_LANGUAGE = "C.UTF-8"

_PROGRAM = """
import atexit, gc, importlib, json, os, runpy, select, signal, socket, sys, threading, time
from pathlib import Path
import backhaul

def house():
    elsewhere = ("depot", "relay", "__main__", "unattended.in_the_job")
    top = Path(backhaul.__file__).parent
    for path in sorted(top.rglob("*.py")):
        name = ".".join(["backhaul", *path.relative_to(top).with_suffix("").parts]).removesuffix(".__init__")
        if not name.startswith(tuple(f"backhaul.{each}" for each in elsewhere)):
            yield name

for name in house():
    importlib.import_module(name)
# The command line looks at the terminal and its settings when it is imported.
for name in [name for name in sys.modules if name.startswith("backhaul.cli")]:
    del sys.modules[name]
del backhaul.cli

def next_command(listener, tests):
    while True:
        ready, _, _ = select.select([listener, tests], [], [])
        if tests in ready:
            os._exit(0)
        connection, _ = listener.accept()
        if os.fork():
            connection.close()
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        told, files, _, _ = socket.recv_fds(connection, 1 << 20, 3)
        pid = os.fork()
        if not pid:
            for each in (connection, listener, tests):
                each.close()
            for place, file in enumerate(files):
                os.dup2(file, place)
                os.close(file)
            return json.loads(told)
        connection.send(b"%d" % pid)
        _, status = os.waitpid(pid, 0)
        connection.send(b"%d" % os.waitstatus_to_exitcode(status))
        os._exit(0)

listener, tests = (socket.socket(fileno=int(number)) for number in sys.argv[1:])
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how those ended that wait for a command
gc.collect()
gc.freeze()
print("warm", flush=True)
command = next_command(listener, tests)
os.chdir(command["cwd"])
os.environ.clear()
os.environ.update(command["env"])
time.tzset()
sys.argv = ["backhaul", *command["arguments"]]
try:
    runpy.run_module("backhaul", run_name="__main__", alter_sys=True)
except SystemExit as end:
    # What Python does at its end, but for taking the house apart, which costs as much as a command.
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(end.code or 0)
"""


class _Warm:
    """The process from which commands are forked."""

    def __init__(self) -> None:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind("")  # the kernel finds a name, which is gone with the process
        listener.listen(64)
        self._address = listener.getsockname()
        self._tests, theirs = socket.socketpair()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(listener.fileno()), str(theirs.fileno())],
            env={"PATH": os.environ["PATH"], "LANG": _LANGUAGE},
            pass_fds=(listener.fileno(), theirs.fileno()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        listener.close()
        theirs.close()
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"warm\n"

    def run(self, command: Mapping[str, object], files: Sequence[int], timeout: float) -> int:
        """The exit code of a command whose standard files these are."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.connect(self._address)
            socket.send_fds(connection, [json.dumps(command).encode()], list(files))
            pid = int(connection.recv(64))
            connection.settimeout(timeout)
            try:
                return int(connection.recv(64))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(str(command["arguments"]), timeout) from None

    def end(self) -> None:
        """End it."""
        self._tests.close()
        self._process.wait(60)
        assert self._process.stdout is not None
        self._process.stdout.close()


_started: list[_Warm] = []
_starting = threading.Lock()


def is_warm(arguments: Sequence[str], env: Mapping[str, str]) -> bool:
    """Whether the command line may be forked."""
    settings = any(name.startswith(_READ_AT_THE_START) for name in env)
    return bool(arguments) and arguments[0] in _WARM and env.get("LANG") == _LANGUAGE and not settings


def warm_run(
    arguments: Sequence[str], env: Mapping[str, str], cwd: Path, timeout: float
) -> subprocess.CompletedProcess[str]:
    """`backhaul` with these arguments, to its end; as `subprocess.run` has it."""
    with _starting:
        if not _started:
            _started.append(_Warm())
    command = {"arguments": list(arguments), "env": dict(env), "cwd": str(cwd)}
    with (
        Path(os.devnull).open() as nothing,
        tempfile.TemporaryFile("w+", encoding="utf-8") as stdout,
        tempfile.TemporaryFile("w+", encoding="utf-8") as stderr,
    ):
        files = [nothing.fileno(), stdout.fileno(), stderr.fileno()]
        code = _started[0].run(command, files, timeout)
        said = []
        for file in (stdout, stderr):
            file.seek(0)
            said.append(file.read())
    return subprocess.CompletedProcess(list(arguments), code, *said)


def end_warm_starts() -> None:
    """End what `warm_run` has started for later commands."""
    while _started:
        _started.pop().end()
