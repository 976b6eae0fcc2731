"""A plain HTTP client for each test of the depot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from backhaul.depot.store.opening import open_store
from backhaul.depot.store.sql_store import SqlStore

from ...conftest import DepotProcess
from ...depot_client import Client

_OVER_BOTH = {"test_graphql", "test_file_stream", "test_search", "test_sweeps", "test_doors", "test_states"}

ClientFor = Callable[[DepotProcess], Client]


@pytest.fixture
def client_for() -> ClientFor:
    """A client of some depot."""
    return lambda depot: Client(depot.url, depot.api_key)


@pytest.fixture(params=["sqlite_depot", "s3_depot"])
def either_depot(request: pytest.FixtureRequest) -> DepotProcess:
    """A depot of the session whose files lie in its folder, and one whose files lie in an object store."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["sqlite_depot", "postgres_depot", "s3_depot", "direct_depot"])
def any_depot(request: pytest.FixtureRequest) -> DepotProcess:
    """The same, and one that leaves to the store what clients can bring there themselves."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """An empty database of each kind, to open a store in."""
    if request.param == "sqlite":
        return tmp_path / "depot.sqlite"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def store(database: Path | str) -> Iterator[SqlStore]:
    """An empty store in each kind of database."""
    with closing(open_store(database)) as made:
        yield made


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What clients ask most is tested over both kinds of database; bounds and oddities of HTTP over one."""
    if "depot" in metafunc.fixturenames and metafunc.module.__name__.rpartition(".")[2] in _OVER_BOTH:
        metafunc.parametrize("depot", ["sqlite_depot", "postgres_depot"], indirect=True, scope="session")


@pytest.fixture(scope="session")
def depot(request: pytest.FixtureRequest) -> DepotProcess:
    """A depot for the whole session; tests keep apart by projects of their own."""
    found: DepotProcess = request.getfixturevalue(getattr(request, "param", "sqlite_depot"))
    return found


@pytest.fixture
def client(depot: DepotProcess) -> Client:
    """A client of the session's depot."""
    return Client(depot.url, depot.api_key)


@pytest.fixture
def project() -> str:
    """A project that no other test uses."""
    return f"p-{uuid4().hex[:12]}"
