"""Files of runs that go straight to the object store: what was written last counts, and nothing is lost."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from backhaul.depot import alone
from backhaul.depot.addresses import LIFETIME
from backhaul.depot.manifests import Manifests
from backhaul.depot.model import RunEdit
from backhaul.depot.noticer import Noticer
from backhaul.depot.refusal import Refused
from backhaul.depot.run_uploads import RunUploads, _mailbox
from backhaul.depot.store.interface import BROUGHT_AFTER
from backhaul.depot.store.leaving import GRACE
from backhaul.depot.store.opening import open_store
from backhaul.depot.store.s3.blobs import S3Blobs
from backhaul.depot.store.s3.bucket import Bucket
from backhaul.depot.store.s3.place import S3Place
from backhaul.depot.store.sql_store import SqlStore
from backhaul.depot.sweep import Sweep

from ...depot_client import Client
from ...depot_thread import served_depot
from ...object_store import Answer, Asked, Door, refusal

if TYPE_CHECKING:
    from tests.conftest import StartDepot

_IMAGE = "media/images/a_0_1234.png"
_DAY = 24 * 3600.0


@dataclass
class House:
    """What a depot consists of here, whose time passes when the test says so."""

    door: Door
    place: S3Place
    store: SqlStore
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.blobs = S3Blobs(Bucket(self.place), plain_etags=True, clock=lambda: self.now)
        self.uploads = self.made()
        self.run = self.store.open_run("tester", "p", "r", RunEdit())[0].id

    def made(self) -> RunUploads:
        """Another depot over the same."""
        return RunUploads(self.store, self.blobs, self.blobs.mailboxes(), True, lambda: self.now)

    @property
    def sweep(self) -> Sweep:
        """As the depot has it."""
        return Sweep(self.store, self.blobs, Manifests(self.blobs), lambda: self.now, self.uploads)

    def address(self, name: str = _IMAGE) -> str:
        """Where the file may be PUT."""
        return self.uploads.addresses(self.run, [name])[name]

    def bring(self, data: bytes, address: str = "") -> str:
        """Bytes of the image as a client brings them; the address at which it did."""
        where = address or self.address()
        assert Client(self.door.url, "").request("PUT", where, data).status == 200
        return where

    def read(self, name: str = _IMAGE) -> bytes | None:
        """The file's bytes, which are those that its row tells of."""
        stored = self.store.file(self.run, name)
        if stored is None:
            return None
        data = self.blobs.read(stored.blob)
        assert (stored.size, stored.md5) == (len(data), hashlib.md5(data).hexdigest())
        return data

    @property
    def lying(self) -> list[bytes]:
        """All bytes that lie there, mailboxes as well."""
        return sorted(self.blobs.read(name) for name in self.door.names(self.place))


@contextmanager
def _built(door: Door, database: Path | str) -> Iterator[House]:
    with closing(open_store(database)) as store:
        made = House(door, door.place(), store)
        store._clock = store._awaited._clock = lambda: made.now  # type: ignore[assignment]
        yield made


@pytest.fixture
def house(door: Door, tmp_path: Path) -> Iterator[House]:
    """One whose rows are in SQLite."""
    with _built(door, tmp_path / "depot.sqlite") as made:
        yield made


@pytest.fixture
def each_house(door: Door, database: Path | str) -> Iterator[House]:
    """One over each kind of database."""
    with _built(door, database) as made:
        yield made


@pytest.fixture
def visit(door: Door, tmp_path: Path) -> Iterator[tuple[Client, S3Place]]:
    """A client of a depot of the test's own, with a run."""
    place = door.place()
    with served_depot(tmp_path, blobs=place) as client:
        client.open_run("p", "r")
        yield client, place


def _files(client: Client) -> dict[str, int]:
    fields = client.run_field("p", "r", "fileCount files { edges { node { name sizeBytes } } }")
    found = {edge["node"]["name"]: edge["node"]["sizeBytes"] for edge in fields["files"]["edges"]}
    assert fields["fileCount"] == len(found)
    return found


def test_media_never_pass_the_depot_and_other_files_do(visit: tuple[Client, S3Place], door: Door) -> None:
    """By one request for the addresses of both; what is asked for then is there, however it is asked for."""
    client, _ = visit
    text = """mutation($f: [String!]!) { createRunFiles(input: {entityName: "tester", projectName: "p", runName: "r",
        files: $f}) { uploadHeaders files { name uploadUrl } } }"""
    answer = client.query(text, {"f": ["saved.txt", _IMAGE, "media/b.png"]}).json["data"]["createRunFiles"]
    assert [file["name"] for file in answer["files"]] == ["saved.txt", _IMAGE, "media/b.png"]
    hosts = [urlsplit(file["uploadUrl"]).netloc for file in answer["files"]]
    assert hosts == [urlsplit(url).netloc for url in (client.url, door.url, door.url)]
    assert _files(client) == {}
    for file in answer["files"]:
        assert client.request("PUT", file["uploadUrl"], file["name"].encode()).status == 200
    assert client.keyed("GET", f"/files/tester/p/r/{_IMAGE}").body == _IMAGE.encode()
    assert _files(client) == {name: len(name) for name in ("saved.txt", _IMAGE, "media/b.png")}
    assert client.keyed("GET", "/files/tester/p/r/media/b.png").body == b"media/b.png"


def test_a_file_that_a_client_says_it_has_brought_is_noticed(visit: tuple[Client, S3Place], door: Door) -> None:
    """By itself: the request that says so waits for no store. `markRunFilesUploaded` is answered when that is done."""
    client, _ = visit
    copied = door.awaited(lambda asked: "x-amz-copy-source" in asked.headers)
    client.request("PUT", client.upload_address("p", "r", _IMAGE), b"some")
    assert client.stream("p", "r", {"uploaded": [_IMAGE, "other", 7]}).status == 200
    assert copied.wait(30)
    client.request("PUT", client.upload_address("p", "r", "media/b.png"), b"more")
    mark = """mutation { markRunFilesUploaded(input: {entityName: "tester", projectName: "p", runName: "r",
        files: ["media/b.png"]}) { success } }"""
    door.seen.clear()
    assert client.query(mark).json["data"]["markRunFilesUploaded"] == {"success": True}
    assert [asked.method for asked in door.seen if "x-amz-copy-source" in asked.headers] == ["PUT"]


def test_what_was_written_last_counts_in_whatever_order_addresses_were_given(each_house: House) -> None:
    """Also twice at one address, and with an address in between that was never used. The others go a minute later."""
    house = each_house
    first, second = house.address(), house.address()
    for data, address in ((b"2", second), (b"1", first), (b"1 again", first), (b"2", second)):
        house.bring(data, address)
        house.uploads.look(house.run, [_IMAGE])
        assert house.read() == data
    house.address()
    house.uploads.look(house.run)
    assert house.read() == b"2"
    house.now += GRACE
    house.blobs.purge()
    assert house.lying == [b"2", b"2"]


def test_looking_again_asks_the_store_for_nothing(house: House) -> None:
    """Each object that was found uses up an address that was given."""
    house.bring(b"some")
    house.uploads.look(house.run)
    house.door.seen.clear()
    house.uploads.look(house.run)
    assert house.door.seen == []


@pytest.mark.parametrize("heeds", [True, False], ids=["bound", "unbound"])
def test_what_is_replaced_while_it_is_copied_is_looked_at_again(house: House, heeds: bool) -> None:
    """The row never tells of other bytes than those that it names, whether or not the store binds copies."""
    house.door.heeds_copy_conditions = heeds
    address = house.bring(b"before")

    def replaced(asked: Asked) -> Answer | None:
        if "x-amz-copy-source" in asked.headers:
            house.door.fault = None
            house.bring(b"and after", address)
        return None

    house.door.fault = replaced
    house.uploads.look(house.run)
    assert house.read() == b"and after"
    assert house.lying == [b"and after", b"and after"]


def test_two_depots_that_look_at_once_keep_one_of_each(each_house: House) -> None:
    """Whoever comes second finds that what it copied is there, and removes its copy."""
    house = each_house
    names = [f"media/{number}.png" for number in range(8)]
    for name, address in house.uploads.addresses(house.run, names).items():
        house.bring(name.encode(), address)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda uploads: uploads.look(house.run), (house.uploads, house.made())))
    assert [house.read(name) for name in names] == [name.encode() for name in names]
    assert house.lying == sorted(2 * [name.encode() for name in names])


def test_many_files_are_looked_for_in_lists(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first that is awaited on; not when most of what lies there is not."""
    monkeypatch.setattr("backhaul.depot.store.s3.looking._FEW", 2)
    monkeypatch.setattr("backhaul.depot.store.s3.looking._PAGE", 4)
    monkeypatch.setattr("backhaul.depot.store.s3.looking._PRICE", 1)

    def asked_for(wanted: list[str]) -> list[str]:
        for name, address in house.uploads.addresses(house.run, wanted).items():
            house.bring(name.encode(), address)
        house.door.seen.clear()
        house.uploads.look(house.run)
        assert [house.read(name) for name in wanted] == [name.encode() for name in wanted]
        return [asked.method for asked in house.door.seen if asked.method == "HEAD" or "list-type" in asked.query]

    names = [f"media/{number}.png" for number in range(11)]
    assert asked_for(names[:6]) == ["GET", "HEAD", "HEAD"]
    assert asked_for(names[6:]) == ["GET", "HEAD"]
    assert asked_for(names[::4]) == ["GET", "HEAD", "HEAD"]


def test_where_etags_are_no_md5s_the_copy_is_read(house: House) -> None:
    """As with a managed key."""
    house.blobs.plain_etags = False
    house.uploads = house.made()
    house.bring(b"some")
    house.uploads.look(house.run)
    assert house.read() == b"some"


def test_a_file_that_came_another_way_meanwhile_is_the_newer_one(door: Door, tmp_path: Path) -> None:
    """The depot was started again without direct uploads, before it had looked at what came straight."""
    place = door.place()
    with served_depot(tmp_path, blobs=place) as client:
        client.open_run("p", "r")
        client.request("PUT", client.upload_address("p", "r", _IMAGE), b"straight")
    with served_depot(tmp_path, blobs=place, max_file_size=100) as client:
        address = client.upload_address("p", "r", _IMAGE)
        assert urlsplit(address).netloc == urlsplit(client.url).netloc
        assert client.request("PUT", address, b"by the depot").status == 200
        assert client.keyed("GET", f"/files/tester/p/r/{_IMAGE}").body == b"by the depot"


def test_what_was_deleted_does_not_come_back(each_house: House) -> None:
    """Neither a file nor a run; what still comes at their addresses goes in the end."""
    house = each_house
    address = house.bring(b"some")
    house.uploads.look(house.run)
    house.store.delete_files(house.run, [_IMAGE])
    house.bring(b"more", address)
    house.uploads.look(house.run, [_IMAGE])
    assert house.read() is None
    house.bring(b"new")
    house.uploads.look(house.run)
    assert house.read() == b"new"
    house.store.delete_run(house.run)
    house.uploads.look(house.run)
    with pytest.raises(Refused):
        house.address()
    for mailbox in (b"more", b"new"):
        assert mailbox in house.lying
    house.door.late = timedelta(seconds=BROUGHT_AFTER + 1)
    sweep = house.sweep
    for _ in range(2):
        sweep.tick(whole=True)
    assert house.lying == []


def test_mailboxes_are_emptied_a_day_after_their_addresses_expired(each_house: House) -> None:
    """Not before they were looked at for the last time; a new address is that of a new mailbox."""
    house = each_house
    old = house.bring(b"first")
    house.now += LIFETIME + _DAY - 1
    house.sweep.tick(whole=True)
    assert house.lying == [b"first", b"first"]
    house.bring(b"last", old)
    house.now += 2
    house.sweep.tick(whole=True)
    assert house.read() == b"last"
    house.now += GRACE
    house.blobs.purge()
    assert house.lying == [b"last"]
    assert urlsplit(house.address()).path != urlsplit(old).path


def test_a_run_that_is_silent_is_looked_at_by_the_sweep(house: House) -> None:
    """A depot that was killed before it looked does so when it starts, though nobody asks; not while it stops."""
    house.bring(b"some")
    house.uploads.sweep(lambda: True)
    assert house.read() is None
    house.sweep.tick(whole=True)
    assert house.read() == b"some"


def test_a_store_that_fails_is_asked_again(visit: tuple[Client, S3Place], door: Door) -> None:
    """Whoever asks for files hears 503, not that there are none; lines come in all the same."""
    client, _ = visit
    client.request("PUT", client.upload_address("p", "r", _IMAGE), b"some")
    door.fault = lambda _asked: refusal(503, "SlowDown")
    for _ in range(2):
        lines = {"files": {"wandb-history.jsonl": {"offset": 0, "content": ['{"a": 1}']}}, "uploaded": [_IMAGE]}
        assert client.stream("p", "r", lines).status == 200
    listed = (
        'query { project(name: "p", entityName: "tester") { run(name: "r") { files { edges { node { name } } } } } }'
    )
    assert client.query(listed).status == 503
    assert client.keyed("GET", f"/files/tester/p/r/{_IMAGE}").status == 503
    door.fault = None
    assert _files(client) == {_IMAGE: 4}


def test_a_kill_before_the_depot_looked_loses_nothing(door: Door, tmp_path: Path, start_depot: StartDepot) -> None:
    """Nor one between the copy and the row that names it: what the copy left is without a name, and another is made."""
    place = door.place()
    where = (place.bucket, place.prefix, door.url, "direct")
    depot = start_depot(tmp_path, *where)
    client = Client(depot.url, depot.api_key)
    client.open_run("p", "r")
    address = client.upload_address("p", "r", _IMAGE)

    def copied_then_killed(asked: Asked) -> Answer | None:
        if "x-amz-copy-source" not in asked.headers:
            return None
        door.fault = None
        key = asked.path.removeprefix(f"/{place.bucket}/")
        door.client.put_object(Bucket=place.bucket, Key=key, Body=b"some")
        depot.kill()
        raise OSError("nobody waits for this answer")

    door.fault = copied_then_killed  # by whoever looks first: this client, or the sweep that begins with the depot
    assert client.request("PUT", address, b"some").status == 200
    with pytest.raises(OSError):
        client.keyed("GET", f"/files/tester/p/r/{_IMAGE}")
    again = start_depot(tmp_path, *where)
    client = Client(again.url, again.api_key)
    assert _files(client) == {_IMAGE: 4}
    assert client.keyed("GET", f"/files/tester/p/r/{_IMAGE}").body == b"some"


def test_the_noticer_goes_on_after_a_refusal_and_takes_no_more_than_its_bound() -> None:
    """What it leaves out is looked for by whoever asks."""
    looked: list[tuple[int, set[str]]] = []
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()

    class Uploads:
        def look(self, run_id: int, names: set[str]) -> None:
            looked.append((run_id, names))
            if run_id == 2:
                done.set()
                return
            begun.set()
            go_on.wait(30)
            raise Refused("no", 503)

    with closing(Noticer(Uploads())) as noticer:  # type: ignore[arg-type]
        noticer.note(1, ["a"])
        assert begun.wait(30)
        noticer.note(3, [str(number) for number in range(100_001)])
        noticer.note(2, ["b"])
        go_on.set()
        assert done.wait(30)
    assert looked == [(1, {"a"}), (2, {"b"})]


def test_who_asks_for_other_files_does_not_wait_for_a_large_one_that_is_copied(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks for that file, or for all, waits for the copy and makes no second one; for too long, it is 503."""
    monkeypatch.setattr(alone, "_PATIENCE", 0)
    small, begun, may_end = "media/small.png", threading.Event(), threading.Event()
    house.bring(b"large")
    house.bring(b"small", house.address(small))
    large = f"{house.place.prefix}{_mailbox_of(house, _IMAGE)}"
    copies: list[str] = []

    def fault(asked: Asked) -> None:
        source = asked.headers.get("x-amz-copy-source", "")
        if source.endswith(large):
            copies.append(source)
            begun.set()
            assert may_end.wait(60)

    house.door.fault = fault
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(house.uploads.look, house.run, [_IMAGE])
        assert begun.wait(60)
        house.uploads.look(house.run, [small])
        assert house.read(small) == b"small"
        for names in (None, [_IMAGE]):
            with pytest.raises(Refused, match="still being copied") as refused:
                house.uploads.look(house.run, names)
            assert refused.value.status == 503
        monkeypatch.setattr(alone, "_PATIENCE", 60)
        second = threads.submit(house.uploads.look, house.run)
        may_end.set()
        first.result()
        second.result()
    assert (house.read(), len(copies)) == (b"large", 1)


def _mailbox_of(house: House, name: str) -> str:
    (file,) = house.store.awaited.still(house.run, [name])
    return _mailbox(file)
