"""The signals that come to this process, as a file that can be waited for together with others."""

from __future__ import annotations

import os
import signal
from types import FrameType

PASSED_ON = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""What may be sent to us and is meant for the job."""


class Signals:
    """Takes signals in from now on, and keeps them until they are asked for.

    A signal that was ignored when we were started stays ignored, by us and by the job: `nohup` means both.
    """

    def __init__(self) -> None:
        self._descriptor, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        listen(write)
        signal.signal(signal.SIGCHLD, _noted)

    def fileno(self) -> int:
        """The file to wait for."""
        return self._descriptor

    def take(self) -> list[int]:
        """The signals that came since the last call, in their order."""
        return taken(self._descriptor)


def listen(write: int) -> None:
    """Have the number of each signal written to `write`, as a byte, the moment it comes: by the C part of Python."""
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in PASSED_ON:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _noted)


def taken(descriptor: int) -> list[int]:
    """The numbers that lie in such a pipe; none when it was closed on the other side."""
    try:
        return list(os.read(descriptor, 4096))
    except BlockingIOError:
        return []


def _noted(number: int, frame: FrameType | None) -> None:
    """Its number is in the pipe already."""
