"""Whatever a client sends, the depot answers, soon, and never with 500."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from backhaul.depot.graphql.schema import load_schema

from ...depot_client import Client, Reply
from . import hostile

if TYPE_CHECKING:
    from tests.conftest import DepotProcess

_SCHEMA = load_schema()
_SOON = 20.0  # seconds, on a busy machine
_REFUSALS = {400, 401, 403, 404, 405, 409, 413}

_short = settings(
    max_examples=150, deadline=None, derandomize=True, database=None, phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
_few = settings(_short, max_examples=60)
_long = settings(_short, max_examples=20_000, derandomize=False, phases=[Phase.generate])


@pytest.fixture(scope="module")
def target(depot: DepotProcess) -> Client:
    """A depot with a run and an artifact at which the requests aim."""
    client = Client(depot.url, depot.api_key)
    client.open_run(hostile.PROJECT, hostile.RUN, entityName=hostile.ENTITY)
    lines = [json.dumps({"_step": step, "loss": step}) for step in range(20)]
    body = {"files": {"wandb-history.jsonl": {"offset": 0, "content": lines}}}
    path = f"/files/{hostile.ENTITY}/{hostile.PROJECT}/{hostile.RUN}/file_stream"
    assert client.keyed("POST", path, json.dumps(body).encode()).status == 200
    fields = {"entityName": hostile.ENTITY, "projectName": hostile.PROJECT, "artifactTypeName": "dataset",
              "artifactCollectionName": "ds", "digest": "d" * 32, "digestAlgorithm": "MANIFEST_MD5"}  # fmt: skip
    text = "mutation($i: CreateArtifactInput!) { createArtifact(input: $i) { artifact { id } } }"
    assert client.query(text, {"i": fields}).status == 200
    return client


def _held(ask: Callable[[], Reply], what: Any) -> Reply:
    """The answer, which is soon and no failure."""
    began = time.monotonic()
    reply = ask()
    assert reply.status == 200 or reply.status in _REFUSALS, (reply.status, reply.body, what)
    assert time.monotonic() - began < _SOON, what
    return reply


def _graphql(client: Client, document: dict[str, Any]) -> None:
    body = json.dumps(document).encode()
    reply = _held(lambda: client.keyed("POST", "/graphql", body), document)
    assert "data" in reply.json or reply.json["errors"][0]["message"]


def _stream(client: Client, body: bytes, packed: bool) -> None:
    path = f"/files/{hostile.ENTITY}/{hostile.PROJECT}/{hostile.RUN}/file_stream"
    headers = {"Content-Encoding": "gzip"} if packed else {}
    data = gzip.compress(body, 1) if packed and len(body) % 2 else body
    _held(lambda: client.keyed("POST", path, data, **headers), body[:300])


_RUNS = """query($p: String!, $e: String!, $f: JSONString, $o: String) { project(name: $p, entityName: $e) {
    runCount(filters: $f) runs(first: 5, filters: $f, order: $o) { edges { node { name } } } } }"""


def _lists(client: Client, filters: Any, order: str | None) -> None:
    variables = {"p": hostile.PROJECT, "e": hostile.ENTITY, "f": json.dumps(filters), "o": order}
    _graphql(client, {"query": _RUNS, "variables": variables})


_PATHS = ("files", "storage", "artifactsV2/default", "wandb_artifacts", "manifests", "uploads", "static", "", "login")


def _paths(client: Client, method: str, door: str, parts: list[str], query: dict[str, str]) -> None:
    """No file of the machine is served, and no header is made of a name."""
    written = "/".join(quote(part.encode("utf-8", "surrogatepass"), safe="./%") for part in [door, *parts] if part)
    asked = "&".join(f"{name}={quote(value.encode('utf-8', 'surrogatepass'))}" for name, value in query.items())
    address = f"/{written}" + (f"?{asked}" if asked else "")
    if len(address) > 30_000:
        return
    reply = _held_page(client, method, address)
    assert b"root:" not in reply.body
    assert "x" not in reply.headers


def _held_page(client: Client, method: str, address: str) -> Reply:
    reply = client.keyed(method, address, b"{}" if method != "GET" else None)
    assert reply.status in {200, 303, 307, *_REFUSALS}, (address, reply.status, reply.body)
    return reply


_NAMES = [hostile.ENTITY, hostile.PROJECT, hostile.RUN, "..", "%2e%2e", "etc/passwd", "json"]
_path_parts = st.lists(
    st.one_of(hostile.texts, st.sampled_from(_NAMES)),
    max_size=6,
)
_queries = st.dictionaries(
    st.sampled_from(["expires", "signature", "key", "x", "from", "to", "points"]), hostile.texts, max_size=3
)


class TestShort:
    """A few hundred of each, the same ones each time."""

    @_short
    @given(document=hostile.documents(_SCHEMA))
    def test_graphql(self, target: Client, document: dict[str, Any]) -> None:
        _graphql(target, document)

    @_short
    @given(body=hostile.bodies, packed=st.booleans())
    def test_file_stream(self, target: Client, body: bytes, packed: bool) -> None:
        _stream(target, body, packed)

    @_few
    @given(filters=hostile.filters, order=hostile.orders)
    def test_lists(self, target: Client, filters: Any, order: str | None) -> None:
        _lists(target, filters, order)

    @_short
    @given(
        method=st.sampled_from(["GET", "PUT", "POST"]), door=st.sampled_from(_PATHS), parts=_path_parts, query=_queries
    )
    def test_paths(self, target: Client, method: str, door: str, parts: list[str], query: dict[str, str]) -> None:
        _paths(target, method, door, parts, query)


@pytest.mark.soak
@pytest.mark.timeout(3600)
class TestLong:
    """Twenty thousand of each, others each time."""

    @_long
    @given(document=hostile.documents(_SCHEMA))
    def test_graphql(self, target: Client, document: dict[str, Any]) -> None:
        _graphql(target, document)

    @_long
    @given(body=hostile.bodies, packed=st.booleans())
    def test_file_stream(self, target: Client, body: bytes, packed: bool) -> None:
        _stream(target, body, packed)

    @_long
    @given(filters=hostile.filters, order=hostile.orders)
    def test_lists(self, target: Client, filters: Any, order: str | None) -> None:
        _lists(target, filters, order)

    @_long
    @given(
        method=st.sampled_from(["GET", "PUT", "POST"]), door=st.sampled_from(_PATHS), parts=_path_parts, query=_queries
    )
    def test_paths(self, target: Client, method: str, door: str, parts: list[str], query: dict[str, str]) -> None:
        _paths(target, method, door, parts, query)
