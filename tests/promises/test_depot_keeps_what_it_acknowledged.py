"""The depot's own promise: what was answered with 200 is there after a SIGKILL, once, and the store opens."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from backhaul.depot import Place

from ..balancer import Balancer
from ..depot_client import Client
from ..depot_contents import sweep
from ..depot_load import Writer, load

if TYPE_CHECKING:
    from tests.conftest import DepotProcess, StartDepot

_WRITERS = 5


def _killed_under_load(start_depot: StartDepot, data: Path, seed: int, rounds: int) -> list[Writer]:
    """So many times: load, SIGKILL at a moment that the seed chooses, start, compare with the record outside."""
    random = Random(seed)
    writers = [Writer(seed, number) for number in range(_WRITERS)]
    for _ in range(rounds):
        depot = start_depot(data)
        load(Client(depot.url, depot.api_key), writers, random.uniform(0.05, 2.0), 11, depot.kill)
        again = start_depot(data)
        client = Client(again.url, again.api_key)
        for writer in writers:
            writer.check(client)
        again.kill()
        sweep(data)
        _check_database(data)
        _check_blobs(again.place)
    return writers


def _check_database(data: Path) -> None:
    with closing(sqlite3.connect(data / "depot.sqlite")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def _check_blobs(place: Place) -> None:
    """What the store names are all the bytes that there are, each once."""
    tables = "SELECT blob FROM files UNION ALL SELECT blob FROM contents UNION ALL SELECT blob FROM manifests"
    with closing(place.open_database()) as database:
        named = sorted(blob for (blob,) in database.read(lambda c: c.execute(tables).fetchall()) if blob)
    assert sorted(path.name for path in (place.data / "blobs").rglob("*") if path.is_file()) == named


def _one_of_several_killed(start_depot: StartDepot, place: Place, seed: int, rounds: int) -> list[Writer]:
    """So many times: load on three depots over one database, SIGKILL to one, look through others with the record.

    The two that live end in peace before: a request that was cut off may be under way there still.
    """
    random = Random(seed)
    writers = [Writer(seed, number) for number in range(_WRITERS)]
    for _ in range(rounds):
        depots = [start_depot(place.data, database=place.database) for _ in range(3)]
        with Balancer(*(depot.url for depot in depots)) as balancer:

            def kill(depots: list[DepotProcess] = depots, balancer: Balancer = balancer) -> None:
                depots[0].kill()
                threading.Event().wait(random.uniform(0.0, 1.0))  # its writers are away, the others go on
                balancer.cut()

            load(Client(balancer.url, depots[0].api_key), writers, random.uniform(0.05, 1.5), 6, kill)
            assert all(balancer.served.values()), balancer.served
        assert [depot.stop() for depot in depots[1:]] == [0, 0]
        after = start_depot(place.data, database=place.database)
        for writer in writers:
            writer.check(Client(after.url, after.api_key))
        after.stop()
        sweep(place)
        _check_blobs(place)
    return writers


def test_nothing_acknowledged_is_lost_or_doubled_by_a_kill_of_one_of_several(
    tmp_path: Path, start_depot: StartDepot, postgres_url: str
) -> None:
    """Whichever depot acknowledged it, all others have it; what was in doubt is brought again by way of another."""
    place = Place(tmp_path / "depot", database=postgres_url)
    writers = _one_of_several_killed(start_depot, place, seed=1, rounds=1)
    assert sum(writer.acknowledged for writer in writers) > 5


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(3))
def test_nothing_acknowledged_is_lost_or_doubled_by_many_kills_of_one_of_several(
    tmp_path: Path, start_depot: StartDepot, postgres_url: str, seed: int
) -> None:
    """The same, three times ten kills over a store that grows."""
    place = Place(tmp_path / "depot", database=postgres_url)
    writers = _one_of_several_killed(start_depot, place, seed=200 + seed, rounds=10)
    print(f"seed {seed}: {sum(writer.acknowledged for writer in writers)} requests acknowledged")


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
