"""A store in PostgreSQL when several work on it at once, and when the server does not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import psycopg
import pytest

from backhaul.depot import Depot, Place, Role, User
from backhaul.depot.artifact import Draft
from backhaul.depot.model import HISTORY, Blob, Delivery, RunEdit
from backhaul.depot.refusal import Refused
from backhaul.depot.store.lines import pack
from backhaul.depot.store.opening import open_database, open_store
from backhaul.depot.store.sql_store import SqlStore
from backhaul.depot.sweeps import SweepEdit

from ...conftest import DepotProcess, StartDepot
from ...depot_client import Client
from ...postgres import empty_schema, running_server
from ...small_disk import make_room, small_disk

T = TypeVar("T")

_STORES = 3
_TURNS = 8


@pytest.fixture
def stores(postgres_url: str) -> Iterator[list[SqlStore]]:
    """As many as if several processes had the database open: nothing but the database is common to them."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(open_store(postgres_url))) for _ in range(_STORES)]


def _all_at_once(stores: list[SqlStore], work: Callable[[SqlStore, int], T]) -> list[T]:
    """What `work` returns, done by turns in all stores, at the same moment."""
    count = len(stores) * _TURNS
    together = threading.Barrier(count)

    def one(number: int) -> T:
        together.wait(30)
        return work(stores[number % len(stores)], number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(one, range(count)))


def test_lines_of_one_run_that_arrive_in_several_places_are_each_there_once(stores: list[SqlStore]) -> None:
    """Requests that overlap, repeat each other and come in any order leave the lines of an order, without a hole."""
    run, _ = stores[0].open_run("me", "p", "r", RunEdit())
    texts = [f'{{"_step":{number}}}' for number in range(100)]

    def deliver(store: SqlStore, number: int) -> None:
        for start in range(number % 4 * 7, 100, 9):
            store.deliver(run.id, Delivery(batches={HISTORY: pack(start, texts[start : start + 13])})).result()
        store.deliver(run.id, Delivery(batches={HISTORY: pack(0, texts[:40])})).result()

    _all_at_once(stores, deliver)
    assert list(stores[0].lines(run.id, HISTORY)) == list(enumerate(texts))
    ends = [(ref.first, ref.first + ref.count) for ref in stores[0].batches(run.id, HISTORY)]
    assert all(end <= first for (_, end), (first, _) in pairwise(ends))


def test_a_run_that_is_opened_everywhere_at_once_is_made_once(stores: list[SqlStore]) -> None:
    """One is told that it is new; the numbers in invented names are each given once."""
    made = _all_at_once(stores, lambda store, number: store.open_run("me", "p", f"r{number % 5}", RunEdit()))
    assert sorted(run.name for run, new in made if new) == [f"r{number}" for number in range(5)]
    assert len({run.id for run, _ in made}) == 5
    names = {run.display_name for run in stores[0].runs()}
    assert sorted(int(name.rpartition("-")[2]) for name in names) == [1, 2, 3, 4, 5]


def test_versions_of_an_artifact_are_numbered_without_a_gap(stores: list[SqlStore]) -> None:
    """Whoever commits them; one that is begun twice by the same client is one; the last has the alias `latest`."""

    def log(store: SqlStore, number: int) -> int:
        client = f"client-{number // 2}"
        version = store.artifacts.create(Draft("me", "p", "c", "data", digest=client, aliases=(), client_id=client))
        with suppress(Refused):  # it was committed by then
            manifest = store.artifacts.make_manifest(version.id, "")
            store.artifacts.put_manifest(manifest.id, Blob(f"{number:032x}", 2, ""))
        current = store.artifacts.current_manifest(version.id)
        with suppress(Refused):  # the client's other one may come between us and its manifest
            store.artifacts.commit(version.id, current.id if current else 0, [])
        return version.id

    ids = set(_all_at_once(stores, log))
    found = [stores[0].artifacts.get(number) for number in ids]
    committed = sorted(version.version for version in found if version.version is not None)
    assert len(ids) == _STORES * _TURNS // 2
    assert committed == list(range(len(committed)))
    assert [version.version for version in found if "latest" in version.aliases] == [committed[-1]]


def test_bytes_that_arrive_twice_at_once_are_kept_once(stores: list[SqlStore]) -> None:
    """All but one are told that their blob is not needed."""
    version = stores[0].artifacts.create(Draft("me", "p", "c", "data", digest="d", aliases=(), client_id="x"))
    project, md5 = version.collection.project.id, "0" * 32
    names = [f"{number:032x}" for number in range(_STORES * _TURNS)]

    def keep(store: SqlStore, number: int) -> str | None:
        return store.artifacts.put_content(project, Blob(names[number], 1, md5), version.id)

    needless = set(_all_at_once(stores, keep))
    content = stores[0].artifacts.content(project, md5)
    assert content is not None
    assert needless == {None, *names} - {content.blob}


def test_each_point_of_a_sweep_is_given_away_once(stores: list[SqlStore]) -> None:
    """And none above the count."""
    sweep = stores[0].sweeps.make("me", "p", SweepEdit(config="{}"))
    agents = [stores[0].sweeps.make_agent(sweep.id, "h") for _ in range(_STORES * _TURNS)]
    given = _all_at_once(stores, lambda store, number: store.sweeps.propose(agents[number].id, 20))
    assert sorted(each.number for each in given if each) == list(range(20))


def test_depots_that_start_together_make_the_tables_once(postgres_url: str) -> None:
    """And agree on the secrets."""
    place = Place(Path("unused"), database=postgres_url)
    together = threading.Barrier(4)

    def start(_: int) -> str:
        together.wait(30)
        return place.secrets().api_key

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(4) as threads:
        patch.setattr("backhaul.depot.place.folders.make", lambda _folder: None)
        assert len(set(threads.map(start, range(4)))) == 1


def test_what_one_depot_gave_out_the_others_take(tmp_path: Path, start_depot: StartDepot, postgres_url: str) -> None:
    """Keys, addresses that sign a browser in, once, cookies, addresses for uploads, and people who were let in."""
    depots = [start_depot(tmp_path / "data", database=postgres_url) for _ in range(2)]
    one, other = (Client(depot.url, depot.api_key) for depot in depots)
    assert one.api_key == other.api_key
    ticket = urlsplit(depots[0].sign_in).query
    signed_in = other.request("GET", f"/?{ticket}")
    cookie = {"Cookie": signed_in.headers["set-cookie"].partition(";")[0]}
    assert one.request("GET", "/", headers=cookie).status == 200
    assert "set-cookie" not in one.request("GET", f"/?{ticket}").headers
    one.open_run("p", "r")
    address = urlsplit(one.upload_address("p", "r", "a.txt"))
    assert other.request("PUT", f"{address.path}?{address.query}", b"bytes").status == 200
    assert one.keyed("GET", "/files/tester/p/r/a.txt").body == b"bytes"
    with Depot.users_of(depots[0].place) as users:
        users.put(User("ada", Role.MEMBER), "a" * 40)
        assert [_viewer(depot, "a" * 40) for depot in depots] == ["ada", "ada"]
        users.remove("ada")
        assert [_viewer(depot, "a" * 40) for depot in depots] == [None, None]


def _viewer(depot: DepotProcess, key: str) -> Any:
    reply = Client(depot.url, key).query("query { viewer { username } }")
    return reply.json["data"]["viewer"]["username"] if reply.status == 200 else None


def test_tables_of_a_newer_depot_are_not_touched(postgres_url: str) -> None:
    """They are refused with a text that says why."""
    with closing(open_database(postgres_url)) as database:
        database.write(lambda c: c.execute("UPDATE schema_version SET version = 99"))
    with pytest.raises(RuntimeError, match="version 99"):
        open_database(postgres_url)


def test_what_postgresql_cannot_store_is_refused(stores: list[SqlStore]) -> None:
    """Half of a surrogate pair, a number beyond 64 bits: of the request, not of the depot."""
    run, _ = stores[0].open_run("me", "p", "r", RunEdit())
    with pytest.raises(Refused, match="cannot be stored") as refused:
        stores[0].edit_run(run.id, RunEdit(notes="\ud800"))
    assert refused.value.status == 400
    with pytest.raises(Refused, match="cannot be stored"):
        stores[0].deliver(run.id, Delivery(complete=True, exit_code=1 << 70)).result()
    assert stores[0].edit_run(run.id, RunEdit(notes="fine")).notes == "fine"


def _cut(address: str) -> None:
    """Ends every other connection to these tables, as a failing network does."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE"
            " '%runs%' OR state LIKE 'idle%' AND pid <> pg_backend_pid()"
        )


def test_a_connection_that_is_cut_is_told_and_made_anew(postgres_url: str) -> None:
    """In the middle of work it is a 503 and nothing is stored; between two requests nobody notices."""
    with closing(open_store(postgres_url)) as store:
        run, _ = store.open_run("me", "p", "r", RunEdit())
        _cut(postgres_url)
        assert store.run("me", "p", "r") == run

        def cut_midway(connection: Any) -> None:
            connection.execute("UPDATE runs SET notes = 'half'")
            _cut(postgres_url)
            connection.execute("UPDATE runs SET notes = 'whole'")

        with pytest.raises(Refused, match="cannot use its database") as refused:
            store._database.write(cut_midway)
        assert refused.value.status == 503
        assert store.run("me", "p", "r") == run


def test_a_server_that_lets_nobody_else_in_is_told(postgres_server: str) -> None:
    """With 503; whoever is in goes on, and when there is room again, so do all."""
    address = empty_schema(postgres_server)
    with psycopg.connect(postgres_server, autocommit=True) as operator:
        operator.execute("CREATE ROLE few LOGIN CONNECTION LIMIT 2")
        schema = address.rpartition("%3D")[2]
        operator.execute(f"GRANT ALL ON SCHEMA {schema} TO few".encode())
    with closing(open_store(address.replace("//postgres:", "//few:"))) as store, ThreadPoolExecutor(2) as threads:
        inside, go_on = threading.Semaphore(0), threading.Event()

        def hold(connection: Any) -> int:
            inside.release()
            assert go_on.wait(30)
            return int(connection.execute("SELECT 7").fetchone()[0])

        held = [threads.submit(store._database.read, hold) for _ in range(2)]
        assert all(inside.acquire(timeout=30) for _ in held)
        with pytest.raises(Refused, match="too many connections") as refused:
            store.runs()
        go_on.set()
        assert refused.value.status == 503
        assert [each.result(30) for each in held] == [7, 7]
        assert store.runs() == []


def test_a_server_that_crashes_and_one_whose_disk_is_full_are_told() -> None:
    """With 503 and 507. What was acknowledged is there afterwards, and everything goes on."""
    with running_server() as server, small_disk(server.data.parent / "small", 3) as small:
        with psycopg.connect(server.url, autocommit=True) as operator:
            operator.execute(f"CREATE TABLESPACE small LOCATION '{server.owned(small)}'".encode())
        with closing(open_store(empty_schema(server.url, default_tablespace="small"))) as store:
            run, _ = store.open_run("me", "p", "r", RunEdit(notes="kept"))
            deliveries = (Delivery(batches={HISTORY: pack(number * 2000, _wide(number))}) for number in range(100))
            with pytest.raises(Refused) as full:
                _deliver_all(store, run.id, deliveries)
            kept = store.line_counts(run.id).history
            assert full.value.status == 507
            assert kept % 2000 == 0
            make_room(small, 30)
            store.deliver(run.id, Delivery(batches={HISTORY: pack(kept, ["one more"])})).result()
            server.crash()
            with pytest.raises(Refused) as away:
                store.runs()
            assert away.value.status == 503
            server.start()
            assert store.line_counts(run.id).history == kept + 1
            assert store.open_run("me", "p", "other", RunEdit())[1]


def _deliver_all(store: SqlStore, run_id: int, deliveries: Iterator[Delivery]) -> None:
    for delivery in deliveries:
        store.deliver(run_id, delivery).result()


def _wide(seed: int) -> list[str | None]:
    return [f"{hash((seed, number)):x}" * 4 for number in range(2000)]
