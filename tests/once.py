"""What is made once for all processes of a test run, where it is dear and lies on the disk when it is made."""

from __future__ import annotations

import fcntl
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

Made = TypeVar("Made")


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Made]) -> Made:
    """What `make` gave in the first process that asked for `name`; it is handed a new folder of that name.

    The result is handed to the other processes as pickle, so it names what lies on the disk, and nothing that runs.
    Nobody may change what lies there. When `make` fails, the next one that asks begins anew.
    """
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    kept = shared / f"once-{name}.pickle"
    with (shared / f"once-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            made = make(factory.mktemp(name))
            kept.write_bytes(pickle.dumps(made))
        found: Made = pickle.loads(kept.read_bytes())
    return found
