"""The job's process: started as it would be without us, signalled with all its children, ended with its own code.

Without a terminal the job leads a process group of its own, so that a signal reaches it and its children and nobody
else. On a terminal it stays in ours: Ctrl-C, Ctrl-Z, `fg` and reading from the keyboard then work as if we were not
there.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Self

_PROCESSES = Path("/proc")
# What a shell, `env`, `nice` and `timeout` end with when there is no such program, or when it cannot be started.
NO_SUCH_PROGRAM, NOT_STARTED = 127, 126
_BY_SIGNAL = 128
# srun, Open MPI, PMIx, MPICH and Intel MPI; as the kernel has their names, cut after 15 letters.
_LAUNCHERS = frozenset(
    {"srun", "mpirun", "mpiexec", "orterun", "orted", "prterun", "prted", "prun", "mpiexec.hydra", "hydra_pmi_proxy"}
)


class JobNotStarted(Exception):
    """The program could not be started; `exit_code` is what a shell would end with."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How a job ended: with an exit code, or by a signal (0: by none)."""

    code: int
    signal: int = 0

    @classmethod
    def of(cls, status: int) -> Self:
        """From what `waitpid` tells."""
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            return cls(_BY_SIGNAL + number, number)
        return cls(os.WEXITSTATUS(status))

    def __str__(self) -> str:
        return f"by {signal.Signals(self.signal).name}" if self.signal else f"with exit code {self.code}"


@dataclass(slots=True)
class Job:
    """A running job; `group` is its own process group, 0 when it shares ours. `end` is None while it runs."""

    pid: int
    group: int
    end: JobEnd | None = None

    @classmethod
    def start(cls, command: Sequence[str], env: Mapping[str, str], *, own_group: bool) -> Job:
        """Start it with our standard input, output and error, and every other open file that was handed to us.

        Raises JobNotStarted.
        """
        try:
            process = _started(command, env, own_group)
        except OSError as error:
            exit_code = NO_SUCH_PROGRAM if error.errno in (errno.ENOENT, errno.ENOTDIR) else NOT_STARTED
            raise JobNotStarted(f"{command[0]}: {error.strerror or error}", exit_code) from error
        # It is waited for by `reap`, in one place with all our other children.
        process.returncode = 0
        return cls(process.pid, process.pid if own_group else 0)

    def send(self, number: int) -> None:
        """Send a signal to the whole job; nothing happens when it has ended."""
        if self.end is not None:
            return
        if self.group:
            _send(number, [self.group], os.killpg)
        else:
            _send(number, self._processes_in_our_group())

    def warn(self, number: int) -> bool:
        """Send a signal to those of its processes that catch it, and say whether any does.

        Whoever does not catch SIGUSR1 is ended by it; that must not come of a word of warning. Launchers catch it and
        pass it on, also to processes that do not: they are left out.
        """
        if self.end is not None:
            return False
        listening = [pid for pid in _descendants(self.pid) if _catches(pid, number) and not _passes_on(pid)]
        _send(number, listening)
        return bool(listening)

    def _processes_in_our_group(self) -> list[int]:
        # `Popen` waits until the program runs, so that the first is there as long as nobody has waited for it.
        return [pid for pid in _descendants(self.pid) if _group_of(pid) == os.getpgrp()]


def has_terminal() -> bool:
    """Whether this process has a controlling terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def leave_like(end: JobEnd) -> NoReturn:
    """End this process as the job ended: by the same signal, so that whoever waits for us sees no difference."""
    if end.signal:
        # The job has left its core file; ours would tell nothing.
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        if end.signal != signal.SIGKILL:
            signal.signal(end.signal, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {end.signal})
        os.kill(os.getpid(), end.signal)
    # The first process of a container is not ended by its own signals: then the code of a shell says the same.
    os._exit(end.code)


def descendants(pid: int) -> list[int]:
    """The process and all that it has started, as far as they run and have not been handed to another parent."""
    return list(_descendants(pid))


def _started(command: Sequence[str], env: Mapping[str, str], own_group: bool) -> subprocess.Popen[bytes]:
    group = 0 if own_group else None
    try:
        return subprocess.Popen(list(command), env=dict(env), close_fds=False, process_group=group)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        # A script without `#!`: whatever starts programs by their names gives it to the shell.
        return subprocess.Popen(["/bin/sh", *command], env=dict(env), close_fds=False, process_group=group)


def _send(number: int, processes: Sequence[int], send: Callable[[int, int], None] = os.kill) -> None:
    for pid in processes:
        try:
            send(pid, number)
        except (ProcessLookupError, PermissionError):
            # It has ended, or has become another user's (a setuid program), who is not ours to signal.
            continue


def _descendants(pid: int) -> Iterator[int]:
    yield pid
    try:
        threads = list((_PROCESSES / str(pid) / "task").iterdir())
    except OSError:
        return
    for thread in threads:
        try:
            children = (thread / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            yield from _descendants(int(child))


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def _passes_on(pid: int) -> bool:
    try:
        return _told(pid, "comm").strip() in _LAUNCHERS
    except OSError:
        return False


def _catches(pid: int, number: int) -> bool:
    try:
        lines = _told(pid, "status").splitlines()
    except OSError:
        return False
    caught = next((line for line in lines if line.startswith("SigCgt:")), "SigCgt: 0")
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def _told(pid: int, what: str) -> str:
    # The kernel cuts a program's name after 15 bytes, also in the middle of a letter.
    return (_PROCESSES / str(pid) / what).read_text(encoding="utf-8", errors="replace")
