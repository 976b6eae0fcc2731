"""A plain HTTP client for each test of the depot."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from ...depot_client import Client

if TYPE_CHECKING:
    from tests.conftest import DepotProcess

ClientFor = Callable[["DepotProcess"], Client]


@pytest.fixture
def client_for() -> ClientFor:
    """A client of some depot."""
    return lambda depot: Client(depot.url, depot.api_key)


@pytest.fixture(params=["depot", "s3_depot"])
def either_depot(request: pytest.FixtureRequest) -> DepotProcess:
    """A depot of the session whose files lie in its folder, and one whose files lie in an object store."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["depot", "s3_depot", "direct_depot"])
def any_depot(request: pytest.FixtureRequest) -> DepotProcess:
    """The same, and one that leaves to the store what clients can bring there themselves."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def client(depot: DepotProcess) -> Client:
    """A client of the session's depot."""
    return Client(depot.url, depot.api_key)


@pytest.fixture
def project() -> str:
    """A project that no other test uses."""
    return f"p-{uuid4().hex[:12]}"
