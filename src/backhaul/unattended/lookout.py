"""A process of ours beside the job: it looks at whatever could hang, so that the wrapper itself never does.

It is forked, so that it is there at once; it has none of the job's files open, and ends when the wrapper ends, however
that happens. Beside its own work it is the canary: a signal that reaches it as well as the wrapper was sent to all
processes at once (Slurm and systemd do that), so that the job has it already and must not get it twice.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from backhaul.unattended.signals import listen, taken

Tell = Callable[[dict[str, Any]], None]
# So much of a line is written in one piece, also when two threads write.
_LONGEST_LINE = 4096


@dataclass(slots=True)
class Lookout:
    """The wrapper's side. `events` are lines of JSON, one an event; at its end the file says that nobody looks out."""

    pid: int
    events: int
    canary: int
    _orders: int
    _rest: bytes = b""
    _seen: dict[int, float] = field(default_factory=dict)

    @classmethod
    def start(cls, look: Callable[[Tell, int], None], *, own_group: bool) -> Self:
        """Fork; the child calls `look` with a way to tell something and the file that orders come by, and ends.

        Raises OSError when no process can be made.
        """
        events, tell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        canary, sing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        orders, command = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            _be_the_lookout(look, tell, sing, orders, own_group)
        for descriptor in (tell, sing, orders):
            os.close(descriptor)
        return cls(pid, events, canary, command)

    def order(self, **words: Any) -> None:
        """Tell the lookout something; nothing happens when it is gone."""
        try:
            os.write(self._orders, json.dumps(words).encode() + b"\n")
        except OSError:
            return

    def take(self) -> list[dict[str, Any]] | None:
        """The events that came since the last call; None when there will be no more."""
        try:
            data = os.read(self.events, 1 << 16)
        except BlockingIOError:
            return []
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def listen(self, now: float) -> None:
        """Note which signals reached the lookout."""
        self._seen.update(dict.fromkeys(taken(self.canary), now))

    def heard(self, number: int, since: float) -> bool:
        """Whether this signal reached the lookout too, at `since` or later."""
        return self._seen.get(number, -1.0) >= since

    def end(self) -> None:
        """Let it go home."""
        for descriptor in (self._orders, self.events, self.canary):
            os.close(descriptor)


@dataclass(slots=True)
class Orders:
    """The lookout's side of what the wrapper tells it."""

    descriptor: int
    job: int = 0
    _rest: bytes = b""

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until there is something new; False when the wrapper is gone."""
        until = time.monotonic() + seconds
        while select.select([self.descriptor], [], [], max(0.0, until - time.monotonic()))[0]:
            data = os.read(self.descriptor, 4096)
            if not data:
                return False
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self.job = int(json.loads(line)["job"])
        return True


def _be_the_lookout(look: Callable[[Tell, int], None], events: int, canary: int, orders: int, own_group: bool) -> None:
    """All that happens in the child; it never comes back."""
    try:
        if own_group:
            os.setpgid(0, 0)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        listen(canary)
        _hold_only(events, canary, orders)
        look(_teller(events), orders)
    except BrokenPipeError:
        # The wrapper has ended.
        os._exit(0)
    except BaseException as error:  # noqa: BLE001 - told to the wrapper; a traceback would stand in the job's output.
        _teller(events)({"event": "lost", "text": f"{type(error).__name__}: {error}"})
    finally:
        os._exit(0)


def _teller(descriptor: int) -> Tell:
    os.set_blocking(descriptor, True)

    def tell(event: dict[str, Any]) -> None:
        line = json.dumps(event).encode()
        if len(line) < _LONGEST_LINE:
            os.write(descriptor, line + b"\n")

    return tell


def _hold_only(*kept: int) -> None:
    """Close everything else: whoever waits for the end of the job's output must not wait for us."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    for entry in list(Path("/proc/self/fd").iterdir()):
        if (descriptor := int(entry.name)) > 2 and descriptor not in kept:
            try:
                os.close(descriptor)
            except OSError:
                # The listing's own.
                continue
