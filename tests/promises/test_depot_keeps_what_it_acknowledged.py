"""The depot's own promise: what was answered with 200 is there after a SIGKILL, once, and the store opens."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from ..depot_client import Client
from ..depot_contents import sweep
from ..depot_load import Writer, load

if TYPE_CHECKING:
    from tests.conftest import StartDepot

_WRITERS = 5


def _killed_under_load(start_depot: StartDepot, data: Path, seed: int, rounds: int) -> list[Writer]:
    """So many times: load, SIGKILL at a moment that the seed chooses, start, compare with the record outside."""
    random = Random(seed)
    writers = [Writer(seed, number) for number in range(_WRITERS)]
    for _ in range(rounds):
        depot = start_depot(data)
        load(Client(depot.url, depot.api_key), writers, random.uniform(0.05, 2.0), depot.kill)
        again = start_depot(data)
        client = Client(again.url, again.api_key)
        for writer in writers:
            writer.check(client)
        again.kill()
        sweep(data)
        _check_store(data)
    return writers


def _check_store(data: Path) -> None:
    """The database is sound, and what it names are all the bytes that there are."""
    with closing(sqlite3.connect(data / "depot.sqlite")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        tables = "SELECT blob FROM files UNION ALL SELECT blob FROM contents UNION ALL SELECT blob FROM manifests"
        named = sorted(blob for (blob,) in connection.execute(tables) if blob)
    assert sorted(path.name for path in (data / "blobs").rglob("*") if path.is_file()) == named


def test_nothing_acknowledged_is_lost_or_doubled_by_a_kill(tmp_path: Path, start_depot: StartDepot) -> None:
    """Lines, files, edits, artifacts: as acknowledged; a request in doubt is there whole or not at all."""
    writers = _killed_under_load(start_depot, tmp_path / "depot", seed=1, rounds=2)
    assert sum(writer.acknowledged for writer in writers) > 20


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(5))
def test_nothing_acknowledged_is_lost_or_doubled_by_fifty_kills(
    tmp_path: Path, start_depot: StartDepot, seed: int
) -> None:
    """The same, five times ten kills over a store that grows."""
    writers = _killed_under_load(start_depot, tmp_path / "depot", seed=100 + seed, rounds=10)
    print(f"seed {seed}: {sum(writer.acknowledged for writer in writers)} requests acknowledged")
