"""The depot on a disk that is full, and on one that fails: both real, made by the kernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..depot_client import Client, Reply
from ..depot_contents import held
from ..tampering import injected

if TYPE_CHECKING:
    from tests.conftest import StartDepot

_AS_ROOT = [] if os.geteuid() == 0 else ["sudo", "-n"]
_HISTORY = "wandb-history.jsonl"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that holds 24 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    options = f"size=24m,mode=0700,uid={os.geteuid()}"
    subprocess.run([*_AS_ROOT, "mount", "-t", "tmpfs", "-o", options, "none", place], check=True)
    yield place
    subprocess.run([*_AS_ROOT, "umount", "-l", place], check=True)


def _fill(disk: Path) -> Path:
    """Uses up all that is left, to the last byte."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue
    return filler


def _send(client: Client, number: int, size: int = 400_000) -> list[Reply]:
    """One request of each kind that stores something, none of which fits into what SQLite has at hand."""
    noise = os.urandom(size // 2).hex()
    line = json.dumps({"_step": number, "noise": noise})
    address = client.upload_address("p", "r", f"f{number}.bin") if number else client.url
    return [
        client.stream("p", "r", {"files": {_HISTORY: {"offset": number, "content": [line]}}}),
        client.request("PUT", address, noise.encode()),
        client.query(
            "mutation U($i: UpsertBucketInput!) { upsertBucket(input: $i) { inserted } }",
            {"i": {"name": f"n{number}", "modelName": "p", "entityName": "tester", "config": json.dumps({"x": noise})}},
        ),
    ]


def _texts(replies: list[Reply]) -> list[str]:
    return [reply.json["errors"][0]["message"] for reply in replies]


def test_a_full_disk_is_told_with_507_and_passes(small_disk: Path, start_depot: StartDepot) -> None:
    """Lines, files and GraphQL are refused whole while there is no room; reading goes on; room again, all goes on."""
    depot = start_depot(small_disk / "depot")
    client = Client(depot.url, depot.api_key)
    client.open_run("p", "r")
    addresses = {number: client.upload_address("p", "r", f"f{number}.bin") for number in (1, 2, 3)}
    assert [reply.status for reply in _send(client, 1)] == [200, 200, 200]
    before = held(depot.data, "p", "r")
    for _ in range(3):
        filler = _fill(small_disk)
        refused = _send(client, 2)
        assert [reply.status for reply in refused] == [507, 507, 507], _texts(refused)
        assert set(_texts(refused)) == {"the depot's disk is full; nothing of this request was stored"}
        assert client.keyed("GET", "/files/tester/p/r/f1.bin").body == before.files["f1.bin"]
        assert client.run_field("p", "r", "historyLineCount") == {"historyLineCount": 2}
        assert client.run_field("p", "n2", "id") is None
        assert list((depot.data / "blobs" / "incoming").iterdir()) == []
        filler.unlink()
    after = held(depot.data, "p", "r")
    assert (after.history, after.files) == (before.history, before.files)
    assert [reply.status for reply in _send(client, 3)] == [200, 200, 200]
    assert client.request("PUT", addresses[2], b"late").status == 200
    assert set(held(depot.data, "p", "r").files) == {"f1.bin", "f2.bin", "f3.bin"}


def test_a_depot_on_a_full_disk_says_why_it_does_not_start(small_disk: Path) -> None:
    """One sentence and an exit code; with room again it starts."""
    line = [sys.executable, "-m", "backhaul", "depot", "--port", "0", "--data", str(small_disk / "depot")]
    _fill(small_disk)
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (4, False)
    assert "No space left" in done.stderr or "full" in done.stderr


def test_a_disk_that_fails_is_told_with_503_and_passes(tmp_path: Path, start_depot: StartDepot) -> None:
    """An I/O error is no internal error: the text says what failed, and the next request finds the depot well."""
    depot = start_depot(tmp_path / "depot")
    client = Client(depot.url, depot.api_key)
    client.open_run("p", "r")
    for number, calls in ((1, ("fsync", "fdatasync")), (4, ("write", "pwrite64"))):
        assert [reply.status for reply in _send(client, number)] == [200, 200, 200]
        before = held(depot.data, "p", "r")
        with injected(depot.process.pid, calls, "error=EIO"):
            refused = _send(client, number + 1, size=3_000_000)
        assert [reply.status for reply in refused] == [503, 503, 503], _texts(refused)
        assert all("the depot cannot read or write its data" in text for text in _texts(refused))
        after = held(depot.data, "p", "r")
        assert (after.history, after.files) == (before.history, before.files)
        assert [reply.status for reply in _send(client, number + 2)] == [200, 200, 200]
    assert sorted(held(depot.data, "p", "r").files) == ["f1.bin", "f3.bin", "f4.bin", "f6.bin"]


def test_bytes_that_the_disk_lost_are_told_with_503(tmp_path: Path, start_depot: StartDepot) -> None:
    """A name without its bytes is the fault of the disk, and no internal error; the rest of the run can be read."""
    depot = start_depot(tmp_path / "depot")
    client = Client(depot.url, depot.api_key)
    client.open_run("p", "r")
    for name in ("a", "b"):
        client.request("PUT", client.upload_address("p", "r", name), name.encode())
    (lost,) = (path for path in (depot.data / "blobs").glob("??/*") if path.read_bytes() == b"a")
    lost.unlink()
    reply = client.keyed("GET", "/files/tester/p/r/a")
    assert (reply.status, "No such file" in reply.json["errors"][0]["message"]) == (503, True)
    assert client.keyed("GET", "/files/tester/p/r/b").body == b"b"
