"""A process that does something for us beside the job: bring runs home, make room.

It is the first to go when memory is short, it yields the processor to the job, a Ctrl-C on the terminal is not meant
for it, and whatever becomes of it, the wrapper goes on.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

_YIELDING = 10
_FIRST_TO_GO = "1000"
_MOST_KEPT = 1 << 20
# What it is given beyond its deadline to end by itself, and then after SIGTERM.
_GRACE = 3.0


@dataclass(slots=True)
class Errand:
    """A running errand. `output` is what it has printed, as far as it was taken; `status` is set when it has ended."""

    pid: int
    name: str
    deadline: float
    descriptor: int
    finished: Callable[[bytes], None]
    output: bytearray = field(default_factory=bytearray)
    status: int | None = None
    is_open: bool = True
    _asked_to_end: bool = False

    @classmethod
    def start(
        cls,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        *,
        deadline: float,
        finished: Callable[[bytes], None],
    ) -> Self:
        """Start it. `finished` is given its standard output in the end. Raises OSError."""
        process = subprocess.Popen(
            command,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        # It is waited for together with the job.
        process.returncode = 0
        assert process.stdout is not None
        descriptor = os.dup(process.stdout.fileno())
        process.stdout.close()
        os.set_blocking(descriptor, False)
        _step_back(process.pid)
        return cls(process.pid, name, deadline, descriptor, finished)

    def take(self) -> None:
        """Take what it has printed."""
        try:
            data = os.read(self.descriptor, 1 << 16)
        except BlockingIOError:
            return
        if not data:
            self.is_open = False
            os.close(self.descriptor)
        elif len(self.output) < _MOST_KEPT:
            self.output += data

    @property
    def is_over(self) -> bool:
        """Whether it has ended, and all that it printed was taken."""
        return self.status is not None and not self.is_open

    @property
    def due(self) -> float:
        """When `press` has something to do next."""
        return self.deadline + (2 if self._asked_to_end else 1) * _GRACE

    def press(self, now: float) -> None:
        """End it when it does not end by itself: by SIGTERM some time after its deadline, then by SIGKILL."""
        if now >= self.deadline + 2 * _GRACE:
            self._send(signal.SIGKILL)
        elif now >= self.deadline + _GRACE and not self._asked_to_end:
            self._asked_to_end = True
            self._send(signal.SIGTERM)

    def hurry(self, now: float) -> None:
        """Its time is over now; asked a second time, at once."""
        self.deadline = now - (2 if self._asked_to_end else 1) * _GRACE
        self.press(now)

    def _send(self, number: int) -> None:
        if self.status is None:
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                return


def _step_back(pid: int) -> None:
    try:
        os.setpriority(os.PRIO_PROCESS, pid, _YIELDING)
        with open(f"/proc/{pid}/oom_score_adj", "w") as file:  # noqa: PTH123 - a door of the kernel
            file.write(_FIRST_TO_GO)
    except OSError:
        # It has ended already, or the system does not allow it: then it works as everybody does.
        return
