"""How others reach the depot: whom it believes, what addresses it hands out, when keys would cross in the clear."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from backhaul.depot import Reach, attempts

from ...depot_thread import served_depot
from .conftest import Client

if TYPE_CHECKING:
    from tests.conftest import DepotProcess

_CERT = Path("cert.pem")


@pytest.mark.parametrize(
    ("host", "reach", "clear"),
    [
        ("127.0.0.1", Reach(), False),
        ("127.9.9.9", Reach(), False),
        ("::1", Reach(), False),
        ("localhost", Reach(), False),
        ("0.0.0.0", Reach(), True),
        ("::", Reach(), True),
        ("", Reach(), True),
        ("192.0.2.7", Reach(), True),
        ("no-such-host.invalid", Reach(), True),
        ("0.0.0.0", Reach(certificate=_CERT), False),
        ("0.0.0.0", Reach(public_url="https://depot.example.org"), False),
        ("0.0.0.0", Reach(public_url="http://depot.example.org"), True),
        ("0.0.0.0", Reach(proxies="10.0.0.1"), False),
    ],
)
def test_beyond_this_machine_something_must_speak_tls(host: str, reach: Reach, clear: bool) -> None:
    """The depot itself, or a proxy of which the operator told."""
    assert reach.in_the_clear(host) is clear


@pytest.mark.parametrize(
    "url", ["depot.example.org", "ftp://h", "https://", "https://h/sub", "https://h/?q", "http:/h"]
)
def test_a_public_address_is_a_bare_one(url: str) -> None:
    """The pages and the clients' paths start at its root."""
    with pytest.raises(ValueError, match="is no address"):
        Reach(public_url=url)


Served = Callable[[Reach], Client]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Starts depots in threads; they end with the test."""
    with ExitStack() as stack:
        yield lambda reach: stack.enter_context(served_depot(tmp_path, reach))


_FORWARDED = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Host": "evil.example"}


def _address(client: Client) -> str:
    client.open_run("p", "r1")
    text = """{"query": "{ project(name: \\"p\\", entityName: \\"tester\\") { run(name: \\"r1\\") {
        files(names: [\\"a\\"]) { edges { node { url(upload: true) } } } } } }"}""".replace("\n", " ")
    reply: Any = client.keyed("POST", "/graphql", text.encode(), Host="depot.lan", **_FORWARDED)
    assert reply.status == 200, reply.body
    return str(reply.json["data"]["project"]["run"]["files"]["edges"][0]["node"]["url"]).partition("/:storage")[0]


def test_nobody_is_believed_who_is_no_trusted_proxy(served: Served) -> None:
    """Addresses are those under which the request arrived, whatever it says of other hosts and schemes."""
    assert _address(served(Reach())) == "http://depot.lan"


def test_a_trusted_proxy_tells_the_scheme(served: Served) -> None:
    """The host is the one that the proxy passes on."""
    assert _address(served(Reach(proxies="127.0.0.1"))) == "https://depot.lan"


def test_another_proxy_is_not_believed(served: Served) -> None:
    """The list is of addresses, not a switch."""
    assert _address(served(Reach(proxies="10.1.2.3"))) == "http://depot.lan"


def test_a_public_address_is_the_one_that_is_handed_out(served: Served) -> None:
    """Whatever host the request names."""
    assert _address(served(Reach(public_url="https://depot.example.org"))) == "https://depot.example.org"


def test_wrong_keys_count_for_the_client_behind_a_trusted_proxy(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who fails behind a proxy uses up their own attempts; without the proxy's word all would share one."""
    monkeypatch.setattr(attempts, "INTERVAL", 3600.0)  # however long the machine takes for them
    client = served(Reach(proxies="127.0.0.1"))
    wrong = Client(client.url, "0" * 40)
    told = [wrong.keyed("POST", "/graphql", b"{}", **{"X-Forwarded-For": "203.0.113.9"}).status for _ in range(31)]
    assert told == [401] * 30 + [429]
    assert wrong.keyed("POST", "/graphql", b"{}", **{"X-Forwarded-For": "203.0.113.10"}).status == 401


def test_no_answer_waits_for_the_acknowledgement_of_its_beginning(depot: DepotProcess) -> None:
    """Head and body are written one after the other: held back by the system, each answer would take 40 ms."""
    connection = HTTPConnection(urlsplit(depot.url).netloc, timeout=60)

    def seconds() -> float:
        began = time.perf_counter()
        connection.request("POST", "/graphql", b"{}")
        connection.getresponse().read()
        return time.perf_counter() - began

    for _ in range(20):  # the first are acknowledged at once, whatever the sender does
        seconds()
    # On a busy machine most may be late for other reasons; held back, one in a thousand is not.
    soon = rounds = 0
    while soon < 5 and rounds < 300:
        soon += seconds() < 0.03
        rounds += 1
    connection.close()
    assert soon == 5
