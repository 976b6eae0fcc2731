"""A real depot process, and an environment in which the real SDK touches nothing of the user's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest
from hypothesis import HealthCheck, settings

from backhaul.depot import Place

from .object_store import BUCKET, KEYS, aws_keys, door, moto_port, opened_door
from .postgres import empty_schema, postgres_server, postgres_url
from .warm_start import end_warm_starts

__all__ = ["aws_keys", "door", "moto_port", "postgres_server", "postgres_url"]

# What is found by chance is looked for by hand, with other settings: here the same is tried each time, however long
# it takes on a machine with much to do.
settings.register_profile(
    "suite", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")

# PR_SET_PTRACER: any process of ours may trace it, so that a test can change its system calls.
_RUN_DEPOT = """
import ctypes, sys
ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1))
from pathlib import Path
from backhaul.depot import Depot, Place, S3Place
data, database, *blobs = sys.argv[1:]
blobs = S3Place(*blobs[:3], direct=blobs[3:] == ["direct"]) if blobs else None
depot = Depot(Place(Path(data), blobs, database or None), entity="tester")
depot.run(port=0, on_ready=lambda url: print(url, depot.api_key, depot.sign_in_address(url), flush=True))
"""


class DepotProcess(NamedTuple):
    """A depot that runs in a process of its own."""

    url: str
    api_key: str
    data: Path
    sign_in: str
    process: subprocess.Popen[str]
    database: str | None = None

    @property
    def place(self) -> Place:
        """Where it keeps what it has."""
        return Place(self.data, database=self.database)

    def kill(self) -> None:
        """Ends it as a power cut would."""
        self.process.kill()
        self.process.wait(60)

    def stop(self) -> int:
        """Ends it as an operator would; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


class StartDepot(Protocol):
    """Starts a depot over a data folder; `blobs` and `database` are as `start` takes them."""

    def __call__(self, data: Path, *blobs: str, database: str | None = None) -> DepotProcess: ...


def start(data: Path, *blobs: str, database: str | None = None) -> DepotProcess:
    """A depot in a process of its own; `end` ends it.

    `blobs` is bucket, prefix and endpoint of the files, where they are not in the folder; with "direct" behind them,
    uploads go straight there. `database` is the address of everything else, where that is not in the folder.
    """
    command = [sys.executable, "-c", _RUN_DEPOT, str(data), database or "", *blobs]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | KEYS)
    assert process.stdout is not None
    words = process.stdout.readline().split()
    if len(words) != 3:
        process.stdout.close()
        raise RuntimeError(f"the depot did not start: exit code {process.wait(60)}")
    return DepotProcess(words[0], words[1], data, words[2], process, database)


def end(depot: DepotProcess) -> None:
    """Ends it, whatever state it is in."""
    if depot.process.poll() is None:
        depot.process.terminate()
        try:
            depot.process.wait(60)
        except subprocess.TimeoutExpired:
            depot.kill()
    assert depot.process.stdout is not None
    depot.process.stdout.close()


@pytest.fixture(scope="session", autouse=True)
def _warm_starts_end() -> Iterator[None]:
    """What commands are forked from ends with the session."""
    yield
    end_warm_starts()


@pytest.fixture(scope="session")
def sqlite_depot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DepotProcess]:
    """One depot for the whole session; tests keep apart by projects of their own."""
    started = start(tmp_path_factory.mktemp("depot"))
    yield started
    end(started)


@pytest.fixture(scope="session")
def depot(sqlite_depot: DepotProcess) -> DepotProcess:
    """The depot of the tests that look at no particular kind."""
    return sqlite_depot


@pytest.fixture(scope="session")
def postgres_depot(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DepotProcess]:
    """Another one for the whole session, over a PostgreSQL database."""
    started = start(tmp_path_factory.mktemp("depot"), database=empty_schema(postgres_server))
    yield started
    end(started)


@pytest.fixture(scope="session")
def s3_depot(moto_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DepotProcess]:
    """Another one for the whole session, whose files lie in an object store."""
    with opened_door(moto_port) as door:
        started = start(tmp_path_factory.mktemp("depot"), BUCKET, "session/", door.url)
        yield started
        end(started)


@pytest.fixture(scope="session")
def direct_depot(moto_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DepotProcess]:
    """Another one, to whose object store clients bring what they can themselves."""
    with opened_door(moto_port) as door:
        started = start(tmp_path_factory.mktemp("depot"), BUCKET, "direct/", door.url, "direct")
        yield started
        end(started)


@pytest.fixture
def start_depot() -> Iterator[StartDepot]:
    """Starts depots of the test's own, over data folders that it names; they end with the test."""
    started: list[DepotProcess] = []

    def start_one(data: Path, *blobs: str, database: str | None = None) -> DepotProcess:
        started.append(start(data, *blobs, database=database))
        return started[-1]

    yield start_one
    for each in started:
        end(each)


@pytest.fixture
def isolated_env(tmp_path: Path) -> dict[str, str]:
    """A clean environment: the SDK finds no settings of the user, writes under `tmp_path`, and tells nobody."""
    home = tmp_path / "home"
    places = {
        "HOME": home,
        "TMPDIR": tmp_path / "tmp",
        "WANDB_DIR": tmp_path / "runs",
        "WANDB_CACHE_DIR": tmp_path / "cache",
        "WANDB_DATA_DIR": tmp_path / "data",
        "WANDB_CONFIG_DIR": tmp_path / "config",
        "WANDB_ARTIFACT_DIR": tmp_path / "artifacts",
    }
    for place in places.values():
        place.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "LANG": "C.UTF-8",
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_SILENT": "true",
        **{name: str(place) for name, place in places.items()},
    }


@pytest.fixture
def sdk_env(isolated_env: dict[str, str], depot: DepotProcess) -> dict[str, str]:
    """The clean environment, with the session's depot as the server and its key as the credential."""
    return isolated_env | {"WANDB_BASE_URL": depot.url, "WANDB_API_KEY": depot.api_key}
