"""Ports for programs that must be told theirs before they listen."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress
from pathlib import Path

_LOWEST = 10_000
_BY_CHANCE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def port_for_later() -> int:
    """A port that is free now, and that the kernel gives to nobody who asks for any: below those that it chooses from.

    One of many, at random, so that tests that run beside each other hardly ever choose the same.
    """
    first_by_chance = int(_BY_CHANCE.read_text().split()[0])
    while True:
        port = _LOWEST + secrets.randbelow(first_by_chance - _LOWEST)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
