"""The depot, killed by the kernel at a certain step of one upload."""

from __future__ import annotations

import http.client
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..depot_client import Client
from ..depot_contents import sweep
from ..tampering import injected
from ..waiting import until

if TYPE_CHECKING:
    from tests.conftest import StartDepot


def _bytes(data: Path) -> list[str]:
    return [str(path.relative_to(data)) for path in (data / "blobs").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("call", "left", "size"),
    # What is small is written where it stays; what is large is given its place when it is whole.
    [("rename", "blobs/incoming/*", 2_000_000), ("pwrite64", "blobs/[0-9a-f][0-9a-f]/*", 100_000)],
    ids=["before-settling", "before-naming"],
)
def test_a_kill_in_the_middle_of_an_upload_leaves_nothing_behind(
    tmp_path: Path, start_depot: StartDepot, call: str, left: str, size: int
) -> None:
    """Killed with the bytes on the disk and no name for them: a sweep removes them, and the file can come."""
    depot = start_depot(tmp_path / "depot")
    client = Client(depot.url, depot.api_key)
    client.open_run("p", "r")
    address = client.upload_address("p", "r", "a.bin")
    with ThreadPoolExecutor(1) as pool:
        with injected(depot.process.pid, (call,), "delay_enter=150s"):
            upload = pool.submit(client.request, "PUT", address, b"x" * size)
            until(lambda: any(piece.stat().st_size == size for piece in depot.data.glob(left)), "all bytes are there")
            assert not upload.done()
            depot.process.kill()
        depot.process.wait(60)
        with pytest.raises((OSError, http.client.HTTPException)):
            upload.result()
    assert len(_bytes(depot.data)) == 1
    sweep(depot.data)
    assert _bytes(depot.data) == []
    again = start_depot(depot.data)
    client = Client(again.url, again.api_key)
    assert client.keyed("GET", "/files/tester/p/r/a.bin").status == 404
    assert client.request("PUT", client.upload_address("p", "r", "a.bin"), b"whole").status == 200
    assert client.keyed("GET", "/files/tester/p/r/a.bin").body == b"whole"
