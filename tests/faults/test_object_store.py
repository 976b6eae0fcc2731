"""An object store that does not answer, refuses, or is slow: nothing is lost, nothing is named that is not there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..depot_client import Client
from ..depot_thread import served_depot
from ..object_store import Answer, Asked, Door, Fault, refusal

if TYPE_CHECKING:
    from tests.conftest import StartDepot

_LARGE = bytes(range(256)) * (9 << 12)  # 9 MiB: goes to the store in parts


def _broken(_asked: Asked) -> Answer | None:
    raise OSError("the connection is broken")


_FAULTS: dict[str, Fault] = {
    "unavailable": lambda _asked: refusal(503, "SlowDown"),
    "denied": lambda _asked: refusal(403, "AccessDenied"),
    "broken": _broken,
}


@pytest.fixture
def client(door: Door, tmp_path: Path) -> Iterator[Client]:
    """A client of a depot of the test's own, with one run and a file in it."""
    with served_depot(tmp_path, blobs=door.place("faults/" + tmp_path.name + "/")) as made:
        made.open_run("p", "r")
        assert made.request("PUT", made.upload_address("p", "r", "a.bin"), b"before").status == 200
        yield made


@pytest.mark.parametrize(("fault", "method"), [("unavailable", "POST"), ("denied", "PUT"), ("broken", "PUT")])
def test_a_store_that_fails_is_told_as_503_and_the_old_file_stays(
    client: Client, door: Door, fault: str, method: str
) -> None:
    """At a body's beginning, at one of its parts and when they are put together; afterwards it works again."""
    address = client.upload_address("p", "r", "a.bin")
    door.fault = lambda asked: _FAULTS[fault](asked) if asked.method == method else None
    reply = client.request("PUT", address, _LARGE)
    assert (reply.status, b"cannot reach its blob store" in reply.body) == (503, True)
    assert client.keyed("GET", "/files/tester/p/r/a.bin").body == b"before"
    door.fault = None
    assert client.request("PUT", address, _LARGE).status == 200
    assert client.keyed("GET", "/files/tester/p/r/a.bin").body == _LARGE


def test_a_file_that_cannot_be_read_now_is_503_and_not_404(client: Client, door: Door) -> None:
    """Clients try again, and get it."""
    door.fault = lambda asked: refusal(503, "SlowDown") if asked.method == "GET" else None
    assert client.keyed("GET", "/files/tester/p/r/a.bin").status == 503
    door.fault = None
    assert client.keyed("GET", "/files/tester/p/r/a.bin").body == b"before"


def test_a_download_goes_on_where_its_connection_to_the_store_broke(client: Client, door: Door) -> None:
    """The client notices nothing."""
    assert client.request("PUT", client.upload_address("p", "r", "a.bin"), _LARGE).status == 200
    door.cut = 2
    assert client.keyed("GET", "/files/tester/p/r/a.bin").body == _LARGE
    assert [asked.headers["range"] for asked in door.seen if "range" in asked.headers] == [
        f"bytes={len(_LARGE) // 2}-",
        f"bytes={len(_LARGE) * 3 // 4}-",
    ]


def test_a_store_that_hangs_holds_no_lines_up(client: Client, door: Door) -> None:
    """More files wait for it than there are threads; lines are taken meanwhile, and the files in the end."""
    go_on, names = threading.Event(), [f"{number}.bin" for number in range(45)]
    addresses = [client.upload_address("p", "r", name) for name in names]
    door.fault = lambda asked: None if asked.method != "PUT" or go_on.wait(100) else refusal(503, "SlowDown")
    with ThreadPoolExecutor(len(names)) as pool:
        puts = [pool.submit(client.request, "PUT", address, b"late") for address in addresses]
        lines = {"files": {"wandb-history.jsonl": {"offset": 0, "content": ['{"a": 1}']}}}
        assert client.stream("p", "r", lines).status == 200
        go_on.set()
        assert {put.result().status for put in puts} == {200}


def test_a_kill_between_the_object_and_its_name_leaves_nothing_named(
    door: Door, tmp_path: Path, start_depot: StartDepot
) -> None:
    """The file is not there, and can come; the object without a name is what a sweep removes."""
    place = door.place()
    where = (place.bucket, place.prefix, door.url)
    depot = start_depot(tmp_path / "data", *where)
    client = Client(depot.url, depot.api_key)
    client.open_run("p", "r")
    address = client.upload_address("p", "r", "a.bin")

    def stored_then_killed(asked: Asked) -> Answer | None:
        if asked.method != "PUT" or asked.body != b"some":
            return None
        key = asked.path.removeprefix(f"/{place.bucket}/")
        door.fault = None
        door.client.put_object(Bucket=place.bucket, Key=key, Body=asked.body)
        depot.kill()
        raise OSError("nobody waits for this answer")

    door.fault = stored_then_killed
    with pytest.raises(OSError):
        client.request("PUT", address, b"some")
    assert len(door.names(place)) == 1
    again = start_depot(depot.data, *where)
    client = Client(again.url, again.api_key)
    assert client.keyed("GET", "/files/tester/p/r/a.bin").status == 404
    assert client.request("PUT", client.upload_address("p", "r", "a.bin"), b"whole").status == 200
    assert client.keyed("GET", "/files/tester/p/r/a.bin").body == b"whole"
