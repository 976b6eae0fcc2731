"""What systemd is told of a service (sd_notify(3)): datagrams to the socket that it names; without one nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


def notify(message: str, env: Mapping[str, str] = os.environ) -> None:
    """Send lines like `READY=1` and `STATUS=…`. A manager that does not listen is no reason to fail."""
    address = env.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.sendto(message.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)
        except OSError:
            return


def watchdog_interval(env: Mapping[str, str] = os.environ, pid: int | None = None) -> float | None:
    """How often (seconds) `WATCHDOG=1` has to be sent: twice in the time that systemd allows. None: not at all."""
    mine = env.get("WATCHDOG_PID", "") in ("", str(pid if pid is not None else os.getpid()))
    microseconds = env.get("WATCHDOG_USEC", "")
    return int(microseconds) / 2e6 if mine and microseconds.isdecimal() and int(microseconds) else None
