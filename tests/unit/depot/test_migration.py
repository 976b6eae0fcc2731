"""A depot moves from a folder to PostgreSQL and an object store: all of it or none, and the folder stays as it was."""

from __future__ import annotations

import copy
import hashlib
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from backhaul.cli import depot as depot_command
from backhaul.depot import Depot, Place, User
from backhaul.depot.migration import Target, migrate, move, tables
from backhaul.depot.migration import bytes as blobs_of
from backhaul.depot.model import Role
from backhaul.depot.store.opening import open_store
from backhaul.errors import BackhaulError

from ...depot_client import Client
from ...depot_load import Writer
from ...depot_thread import served_depot
from ...object_store import Door, refusal

_KEY = "b" * 40


@dataclass
class House:
    """A depot with something in every table, and where it is to go."""

    folder: Path
    target: Target
    writer: Writer
    elsewhere: Path

    def move(self) -> BackhaulError | None:
        """How the command ends: None is well."""
        place, database = self.target.blobs, self.target.database
        words = ["migrate", "--from", str(self.folder), "--to-blobs", str(place), "--s3-endpoint", str(place.endpoint)]
        result = CliRunner().invoke(depot_command.command, [*words, *(["--to-db", database] if database else [])])
        assert result.exception is None or isinstance(result.exception, BackhaulError), result.exception
        return result.exception

    def check_moved(self) -> None:
        """Whoever asks the depot there hears what the one in the folder would say."""
        with served_depot(self.elsewhere, blobs=self.target.blobs, database=self.target.database) as client:
            assert client.api_key == (self.folder / "api-key").read_text().strip()
            self.writer.check(client)
            assert Client(client.url, _KEY).query("{ viewer { username } }").json["data"]["viewer"]["username"] == "ada"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Writer]:
    """A folder with what a client made, and what an operator did; and the client's own record of it."""
    folder, writer = tmp_path_factory.mktemp("filled"), Writer(11, 3)
    with served_depot(folder) as client:
        for request in writer.requests(14):
            request.send(client)
            request.effect(writer.record)
        writer.doubt = None
        _fill_the_rest(client)
    with Depot.users_of(Place(folder)) as users:
        users.put(User("ada", Role.MEMBER, frozenset({"tester"})), _KEY)
    return folder, writer


@pytest.fixture
def house(filled: tuple[Path, Writer], tmp_path: Path, door: Door, postgres_url: str) -> House:
    """A copy of that, and an empty database and place for blobs."""
    folder, writer = filled
    copied = Path(shutil.copytree(folder, tmp_path / "data"))
    return House(copied, Target(door.place(), postgres_url), copy.deepcopy(writer), tmp_path / "elsewhere")


def _fill_the_rest(client: Client) -> None:
    """What a client of this kind does not do: a sweep, an alert, notes and tags of a run."""
    client.open_run("rest", "r", notes="ü", tags=["a"])
    place = {"entityName": "tester", "projectName": "rest"}
    sweep = {**place, "config": _SWEEP}
    alert = {**place, "runName": "r", "title": "t", "text": "x", "severity": "INFO"}
    for kind, change, fields in (
        ("UpsertSweepInput!", "upsertSweep(input: $i) { sweep { id } }", sweep),
        ("NotifyScriptableRunAlertInput!", "notifyScriptableRunAlert(input: $i) { success }", alert),
    ):
        assert client.query(f"mutation($i: {kind}) {{ {change} }}", {"i": fields}).status == 200


_NUMBERED = "SELECT 1 FROM pragma_table_info(?) WHERE name = 'id'"
_SWEEP = '{"method": "grid", "parameters": {"x": {"values": [1, 2]}}}'


def _state(folder: Path) -> dict[str, Any]:
    """Every file with its bytes."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_depot_is_the_same_where_it_moved_to_and_goes_on(house: House) -> None:
    """Runs, lines, files, artifacts, people, keys; what comes later has numbers of its own. The folder is untouched."""
    before = _state(house.folder)
    assert house.move() is None
    assert _state(house.folder) == before
    house.check_moved()
    _check_numbers(house)
    with served_depot(house.elsewhere, blobs=house.target.blobs, database=house.target.database) as client:
        writer = Writer(12, 7)
        for request in writer.requests(12):
            request.send(client)
            request.effect(writer.record)
        writer.doubt = None
        writer.check(client)


def _check_numbers(house: House) -> None:
    """The next number is above every one that was ever given: an address for an upload never fits a later one."""
    assert house.target.database is not None
    with (
        closing(sqlite3.connect(house.folder / "depot.sqlite")) as source,
        psycopg.connect(house.target.database) as there,
    ):
        given = dict(source.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
        names = [name for name in tables.ORDER if source.execute(_NUMBERED, (name,)).fetchone()]
        assert {"runs", "batches", "artifacts", "uploads"} <= set(names)
        for name in names:
            (highest,) = source.execute(f"SELECT coalesce(max(id), 0) FROM {name}").fetchone()
            row = there.execute("SELECT nextval(pg_get_serial_sequence(%s, 'id'))", (name,)).fetchone()
            assert row is not None
            assert row[0] > max(highest, given.get(name, 0)), name


def test_every_table_is_moved_or_made_anew(tmp_path: Path) -> None:
    """A table that comes later is not forgotten."""
    open_store(tmp_path / "depot.sqlite").close()
    with closing(sqlite3.connect(tmp_path / "depot.sqlite")) as database:
        query = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        assert {name for (name,) in database.execute(query)} == {*tables.ORDER, *tables.MADE_ANEW}


@pytest.mark.parametrize("after", [6, *(pytest.param(number, marks=pytest.mark.soak) for number in (0, 1, 12, 23))])
def test_a_move_that_is_interrupted_goes_on(house: House, after: int) -> None:
    """Nobody works at the half of it; the same command brings the rest."""
    told: list[str] = []

    def interrupt(line: str) -> None:
        told.append(line)
        if len(told) > after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        migrate(house.folder, house.target, interrupt)
    for place in (Place(house.elsewhere, None, house.target.database), Place(house.elsewhere, house.target.blobs)):
        with pytest.raises(RuntimeError, match="has not ended"):
            Depot(place)
    assert house.move() is None
    house.check_moved()


def test_a_move_that_ends_in_the_middle_of_a_table_goes_on_behind_its_last_row(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that are there are not sent again."""
    insert, sent = tables._insert, 0

    def insert_some(connection: Any, it: Any, rows: Any) -> None:
        nonlocal sent
        if it.name == "batches":
            sent += 1
            if sent == 3:
                raise KeyboardInterrupt
        insert(connection, it, rows)

    monkeypatch.setattr(tables, "_ROWS_AT_ONCE", 1)
    monkeypatch.setattr(tables, "_insert", insert_some)
    with pytest.raises(KeyboardInterrupt):
        migrate(house.folder, house.target, lambda _line: None)
    assert house.move() is None
    with closing(sqlite3.connect(house.folder / "depot.sqlite")) as database:
        assert sent - 1 == database.execute("SELECT count(*) FROM batches").fetchone()[0] > 2
    house.check_moved()


@pytest.mark.parametrize("method", ["PUT", pytest.param("GET", marks=pytest.mark.soak)])
def test_a_store_that_fails_in_the_middle_is_temporary(house: House, door: Door, method: str) -> None:
    """What arrived stays, and the same command goes on."""
    seen = 0

    def fail_later(asked: Any) -> Any:
        nonlocal seen
        seen += asked.method == method
        return refusal(503, "SlowDown") if seen > 6 else None

    door.fault = fail_later
    error = house.move()
    assert error is not None
    assert error.exit_code == 5
    door.fault = None
    assert house.move() is None
    house.check_moved()


def test_only_the_bytes_can_move(house: House) -> None:
    """The rest stays in the folder, over which the depot runs on."""
    house.target = Target(house.target.blobs)
    assert house.move() is None
    house.elsewhere = house.folder
    house.check_moved()


def _named_blob(house: House) -> Path:
    """One that a row names: a folder may have others, which a sweep would remove."""
    with closing(sqlite3.connect(house.folder / "depot.sqlite")) as database:
        (name,) = database.execute("SELECT blob FROM files WHERE size > 0").fetchone()
    return house.folder / "blobs" / name[:2] / name


def _flip(house: House) -> None:
    path = _named_blob(house)
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


def _remove(house: House) -> None:
    _named_blob(house).unlink()


@pytest.mark.parametrize(("harm", "told"), [(_flip, "is not what its row says"), (_remove, "cannot be read")])
def test_a_folder_that_lacks_what_its_rows_name_is_told(house: House, harm: Callable[[House], None], told: str) -> None:
    """With what it is the content of; nothing becomes usable there."""
    harm(house)
    error = house.move()
    assert error is not None
    assert (error.exit_code, told in error.message) == (10, True), error.message
    with pytest.raises(RuntimeError, match="has not ended"):
        Depot(Place(house.elsewhere, None, house.target.database))


def test_a_row_that_arrived_as_another_one_is_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the table in which it is."""
    assert house.target.database is not None
    address, whole = house.target.database, tables.copy

    def copied_wrongly(source: Any, target: Any, it: Any) -> None:
        whole(source, target, it)
        if it.name == "files":
            with psycopg.connect(address, autocommit=True) as connection:
                connection.execute("UPDATE files SET md5 = md5(md5) WHERE name = (SELECT max(name) FROM files)")

    monkeypatch.setattr(move.tables, "copy", copied_wrongly)
    error = house.move()
    assert error is not None
    assert (error.exit_code, "the table files has" in error.message) == (10, True), error.message


def test_bytes_that_arrived_as_others_are_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what they are the content of."""
    monkeypatch.setattr(blobs_of, "_bring", lambda _source, blobs, name: blobs.bucket.put(name, b"other"))
    error = house.move()
    assert error is not None
    assert (error.exit_code, "is read back from the object store as something else" in error.message) == (10, True)


def test_what_cannot_be_moved_is_refused_before_anything_happens(house: House, door: Door, tmp_path: Path) -> None:
    """A depot that runs, a folder without one, tables of another version, places in which something is."""
    refused = {}
    with served_depot(house.folder):
        refused["another depot is using"] = house.move()
    with closing(sqlite3.connect(house.folder / "depot.sqlite")) as database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        database.execute(f"PRAGMA user_version = {version - 1}")
        refused["start this version of the depot over it once"] = house.move()
        database.execute(f"PRAGMA user_version = {version}")
    folder, house.folder = house.folder, tmp_path / "nothing"
    refused["there is no depot in"] = house.move()
    house.folder = folder
    store = door.client
    store.put_object(Bucket=house.target.blobs.bucket, Key=f"{house.target.blobs.prefix}x", Body=b"")
    refused["give a prefix under which nothing is"] = house.move()
    store.delete_object(Bucket=house.target.blobs.bucket, Key=f"{house.target.blobs.prefix}x")
    assert house.target.database is not None
    with closing(open_store(house.target.database)) as other:
        other.make_project("e", "p")
    refused["the database is not empty"] = house.move()
    for words, error in refused.items():
        assert error is not None, words
        assert (error.exit_code, words in error.message) == (4, True), error.message
    assert door.names(house.target.blobs) == []
