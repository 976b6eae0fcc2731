"""Ports for programs that must be told theirs before they listen."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress
from pathlib import Path

_LOWEST = 10_000
_BY_CHANCE = Path("/proc/sys/net/ipv4/ip_local_port_range")
# A name for each port that was given out here; the kernel gives a name to one process, until that ends.
_given_out: list[socket.socket] = []


def port_for_later() -> int:
    """A port that is free now, and that the kernel gives to nobody who asks for any: below those that it chooses from.

    No test that runs beside this one is given the same.
    """
    first_by_chance = int(_BY_CHANCE.read_text().split()[0])
    while True:
        port = _LOWEST + secrets.randbelow(first_by_chance - _LOWEST)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            name = socket.socket(socket.AF_UNIX)
            _given_out.append(name)
            name.bind(f"\0backhaul-tests-port-{port}")
            return port
