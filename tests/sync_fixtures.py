"""Fixtures for everything that syncs: the command, a project of the test's own, recorded runs, the fault proxy."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from .command import Backhaul, bare_env, copied, record
from .conftest import DepotProcess
from .fault_proxy import FaultProxy
from .official import Official
from .once import made_once

_HEALTHY = """
    import sys, wandb
    run = wandb.init(project="recorded", id="healthy", name="Healthy one", tags=["a", "b"], notes="some notes",
                     group="g", job_type="train", config={"lr": 0.1, "net": {"width": 64}})
    with open("saved.txt", "w") as file:
        file.write("saved " * 500)
    run.save("saved.txt")
    for step in range(300):
        run.log({"loss": 1 / (step + 1), "nested": {"a": step}})
        if step % 10 == 0:
            print("line", step)
    print("an error line", file=sys.stderr)
    run.finish()
"""


@pytest.fixture
def backhaul(sdk_env: dict[str, str], tmp_path: Path) -> Backhaul:
    """The command, with the session's depot as its server."""
    return Backhaul(sdk_env, tmp_path)


@pytest.fixture
def official(sdk_env: dict[str, str], tmp_path: Path) -> Official:
    """The official `wandb sync`, with the session's depot as its server."""
    return Official(sdk_env, tmp_path)


@pytest.fixture
def project() -> str:
    """A project that no other test uses."""
    return f"p-{uuid4().hex[:12]}"


@pytest.fixture
def proxy(depot: DepotProcess) -> Iterator[FaultProxy]:
    """A proxy before the session's depot, without faults so far."""
    with FaultProxy(depot.url) as started:
        yield started


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which nothing listens, taken so that nothing will."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture(scope="session")
def healthy_original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A healthy run, recorded once; never synced from where it lies."""
    return made_once(tmp_path_factory, "healthy", _recorded)


def _recorded(home: Path) -> Path:
    (made,) = record(_HEALTHY, home / "work", bare_env(home / "home"))
    return made


@pytest.fixture
def healthy(healthy_original: Path, tmp_path: Path) -> Path:
    """A copy of the healthy run: 300 rows, 31 console lines, a saved file."""
    return copied(healthy_original, tmp_path / "healthy")
