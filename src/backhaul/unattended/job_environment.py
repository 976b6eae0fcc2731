"""What the wrapper sets for the job, and how a wrapper within the job knows that there is one already."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_MARK = "BACKHAUL_JOB"
_FOR_THE_JOB = {"WANDB_MODE": "offline", "WANDB__TRANSACTION_LOG_FLUSH_INTERVAL": "1"}


def environment_of_the_job(env: Mapping[str, str]) -> dict[str, str]:
    """The job's environment: ours, recording offline and flushed every second unless the user has set it otherwise."""
    return {**_FOR_THE_JOB, **env, _MARK: f"{os.uname().nodename} {os.getpid()}"}


def is_wrapped(env: Mapping[str, str]) -> bool:
    """Whether another wrapper on this host is above us: then it brings the runs home, and we are not needed."""
    host, _, pid = env.get(_MARK, "").partition(" ")
    return host == os.uname().nodename and pid.isdecimal() and int(pid) in _ancestors()


def _ancestors() -> list[int]:
    found, pid = [], os.getpid()
    while pid > 1:
        try:
            # The name, in parentheses, may hold anything, half a letter too.
            pid = int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
        except OSError:
            break
        found.append(pid)
    return found
