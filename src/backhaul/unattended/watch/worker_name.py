"""The name under which a process works on a queue, and whether the process that a name tells of is gone.

Hosts may have one name, as freshly installed ones do, and containers have process numbers of their own: a number says
something only where it was given, on this host since it was started, within this set of numbers.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import psutil

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NUMBERS = Path("/proc/self/ns/pid")


def name_of_this_process(host: str) -> str:
    """A name that no other process has, here or elsewhere."""
    return f"{host}/{_where_numbers_count()}:{os.getpid()}:{secrets.token_hex(4)}"


def is_gone(name: str, host: str) -> bool:
    """Whether the process of this name ran where this one does, and has ended."""
    place, _, rest = name.rpartition(":")[0].rpartition(":")
    return place == f"{host}/{_where_numbers_count()}" and rest.isdecimal() and not psutil.pid_exists(int(rest))


def _where_numbers_count() -> str:
    try:
        return f"{_BOOT.read_text().strip()[:8]}-{_NUMBERS.stat().st_ino}"
    except OSError:
        return "unknown"
