"""What the store keeps, against a model that is a plain dictionary."""

from __future__ import annotations

import json
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backhaul.depot import Depot, Place
from backhaul.depot.digester import ENOUGH_ROWS, digest
from backhaul.depot.model import HISTORY, OUTPUT, Alert, Blob, Delivery, Run, RunEdit
from backhaul.depot.refusal import Refused
from backhaul.depot.store.lines import pack
from backhaul.depot.store.opening import open_database, open_store
from backhaul.depot.store.sql_store import SqlStore
from backhaul.depot.store.sqlite import SqliteDatabase


def _run(store: SqlStore, name: str = "r1") -> Run:
    return store.open_run("me", "p", name, RunEdit())[0]


def _write(store: SqlStore, run: Run, offset: int, lines: list[str | None], stream: str = HISTORY) -> None:
    store.deliver(run.id, Delivery(batches={stream: pack(offset, lines)})).result()


_WRITES = st.lists(
    st.tuples(st.integers(0, 60), st.lists(st.none() | st.text("ab\n", max_size=3), max_size=25)), max_size=12
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(writes=_WRITES)
def test_a_stream_is_what_was_last_written_under_each_number(
    store: SqlStore, writes: list[tuple[int, list[str | None]]]
) -> None:
    """Whatever overlaps, repeats or leaves holes: a line is the last text written under its number."""
    run = _run(store)
    store.truncate(run.id, HISTORY, 0)
    model: dict[int, str] = {}
    for offset, lines in writes:
        _write(store, run, offset, lines)
        model.update({offset + place: line for place, line in enumerate(lines) if line is not None})
    assert model == dict(store.lines(run.id, HISTORY))
    assert max(model, default=-1) + 1 == store.line_counts(run.id).history


def test_the_same_post_twice_leaves_each_line_once(store: SqlStore) -> None:
    """A repeated request changes nothing, also when lines were added after its first arrival."""
    run = _run(store)
    _write(store, run, 0, ["a", "b", "c"])
    _write(store, run, 3, ["d"])
    _write(store, run, 0, ["a", "b", "c"])
    assert list(store.lines(run.id, HISTORY)) == [(0, "a"), (1, "b"), (2, "c"), (3, "d")]


def test_a_repeated_large_post_costs_no_more_batches(store: SqlStore) -> None:
    """A batch that covers stored ones replaces them."""
    run = _run(store)
    content: list[str | None] = [f'{{"_step": {step}, "x": "{"y" * 60}"}}' for step in range(5000)]
    _write(store, run, 0, content)
    before = len(store.batches(run.id, HISTORY))
    _write(store, run, 0, content)
    assert before == len(store.batches(run.id, HISTORY))


def test_crumbs_of_a_live_run_are_joined(store: SqlStore) -> None:
    """A thousand posts of one line do not become a thousand rows of the database."""
    run = _run(store)
    for number in range(1000):
        _write(store, run, number, [f"line {number}"], OUTPUT)
    assert len(store.batches(run.id, OUTPUT)) == 1
    assert store.line_counts(run.id).output == 1000


def test_holes_stay_holes_and_count(store: SqlStore) -> None:
    """Lines that never came are left out when reading, and the count is the highest number plus one."""
    run = _run(store)
    _write(store, run, 5, ["f"])
    assert list(store.lines(run.id, HISTORY)) == [(5, "f")]
    assert store.line_counts(run.id).history == 6


def test_silence_is_shown_as_crashed(database: Path | str) -> None:
    """A running run without a heartbeat for five minutes is crashed; a finished one stays finished."""
    store = open_store(database, clock=lambda: 1000.0)
    run = _run(store)
    assert [run.state_at(1000.0 + 299), run.state_at(1000.0 + 301)] == ["running", "crashed"]
    store.deliver(run.id, Delivery(complete=True, exit_code=0)).result()
    finished = store.run("me", "p", "r1")
    assert finished is not None
    assert finished.state_at(99999.0) == "finished"
    store.close()


def test_an_edit_leaves_what_it_does_not_name(store: SqlStore) -> None:
    """None leaves a value alone, an empty list of tags clears them, a config replaces the whole one."""
    run, _ = store.open_run("me", "p", "r", RunEdit(notes="n", tags=("a", "b"), config='{"x": {"value": 1}}'))
    store.edit_run(run.id, RunEdit(tags=()))
    store.edit_run(run.id, RunEdit(config='{"y": {"value": 2}}'))
    found = store.run("me", "p", "r")
    assert found is not None
    assert (found.notes, found.tags, found.config) == ("n", (), '{"y": {"value": 2}}')


@pytest.mark.parametrize("text", ["a\0b", "\0", "\uffff", "\uffff0\uffff1\0", "\0" * 3 + "1"])
def test_a_text_with_a_nul_comes_back_as_it_was(store: SqlStore, text: str) -> None:
    """Any JSON may hold one; and what is looked for under such a name is not there, in either database."""
    run = _run(store)
    store.edit_run(run.id, RunEdit(notes=text, group=text, tags=(text,)))
    _write(store, run, 0, [json.dumps({"_step": step, text: 1}) for step in range(2 * ENOUGH_ROWS)])
    list(digest(store, run.id))
    assert store.stretch_column(run.id, HISTORY, text)
    store.add_alert(run.id, text, text, "INFO")
    found = store.run("me", "p", "r1")
    assert found
    assert (found.notes, found.group, found.tags) == (text, text, (text,))
    assert store.alerts(run.id) == [Alert(text, text, "INFO")]
    assert (store.run("me", "p", text), store.file(run.id, text)) == (None, None)
    while store.refresh_facets():
        pass


def test_an_edit_does_not_make_a_finished_run_a_running_one(store: SqlStore) -> None:
    """Only the run's own client brings it to life."""
    run = _run(store)
    store.deliver(run.id, Delivery(complete=True, exit_code=0)).result()
    assert store.edit_run(run.id, RunEdit(notes="later")).state == "finished"


def test_the_id_of_a_deleted_run_stays_taken(store: SqlStore) -> None:
    """A deleted run is gone from all lists, and its id is refused in a way that no client tries again."""
    run = _run(store)
    _write(store, run, 0, ["x"])
    store.delete_run(run.id)
    assert store.run("me", "p", "r1") is None
    assert store.runs() == []
    with pytest.raises(Refused, match="previously created and deleted") as refused:
        _run(store)
    assert refused.value.status == 400
    with pytest.raises(Refused):
        _write(store, run, 0, ["late"])


def test_putting_a_file_again_tells_which_blob_is_free(store: SqlStore) -> None:
    """The last content counts, and the one before can be removed."""
    run = _run(store)
    assert store.put_file(run.id, "a.txt", Blob("b1", 3, "0" * 32)).result() is None
    assert store.put_file(run.id, "a.txt", Blob("b2", 4, "1" * 32)).result() == "b1"
    assert [(file.name, file.blob, file.size) for file in store.files(run.id)] == [("a.txt", "b2", 4)]
    assert store.delete_files(run.id, ["a.txt", "never"]) == ["b2"]


def test_a_job_that_fails_takes_only_itself_back(tmp_path: Path) -> None:
    """Jobs that share a commit do not share a failure."""
    database = SqliteDatabase(tmp_path / "d.sqlite")
    outcomes: dict[int, object] = {}
    together = threading.Barrier(9)

    def insert(connection: sqlite3.Connection, number: int) -> int:
        connection.execute("INSERT INTO projects (entity, name, created_at) VALUES ('e', ?, 0)", (str(number),))
        if number % 2:
            raise ValueError(number)
        return number

    def work(number: int) -> None:
        together.wait(60)
        try:
            outcomes[number] = database.write(lambda c: insert(c, number))
        except ValueError as error:
            outcomes[number] = error.args[0] + 100

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    together.wait(60)
    for thread in threads:
        thread.join()
    names = database.read(lambda c: [row[0] for row in c.execute("SELECT name FROM projects ORDER BY name")])
    database.close()
    assert names == ["0", "2", "4", "6"]
    assert outcomes == {0: 0, 1: 101, 2: 2, 3: 103, 4: 4, 5: 105, 6: 6, 7: 107}


def test_a_full_disk_is_told_and_passes(tmp_path: Path) -> None:
    """What does not fit is refused with 507 and not stored; when there is room again, writing goes on."""
    database = SqliteDatabase(tmp_path / "d.sqlite")

    def insert(connection: sqlite3.Connection, name: str) -> None:
        connection.execute("INSERT INTO projects (entity, name, created_at) VALUES ('e', ?, 0)", (name,))

    def limit(connection: sqlite3.Connection, pages: int) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    database.write(lambda c: limit(c, 1))  # SQLite raises it to the pages in use: from here on the file cannot grow
    with pytest.raises(Refused) as refused:
        database.write(lambda c: insert(c, "x" * 100_000))
    assert refused.value.status == 507
    database.write(lambda c: limit(c, 10_000))
    database.write(lambda c: insert(c, "y" * 100_000))
    names = database.read(lambda c: [row[0][:1] for row in c.execute("SELECT name FROM projects")])
    database.close()
    assert names == ["y"]


def test_a_closed_database_says_so(database: Path | str) -> None:
    """After closing, a write is refused with 503 instead of waiting for ever; closing it again does nothing."""
    opened = open_database(database)
    opened.close()
    opened.close()
    with pytest.raises(Refused) as refused:
        opened.write(lambda c: c.execute("SELECT 1"))
    assert refused.value.status == 503


def test_a_write_that_comes_while_the_database_closes_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is carried out: nobody waits for a writer that is gone."""
    database = SqliteDatabase(tmp_path / "d.sqlite")
    queue, at_the_door, go_on = database._jobs, threading.Event(), threading.Event()

    class Held:
        """The queue with somebody at its door."""

        def put(self, job: Any) -> None:
            if job is not None:
                at_the_door.set()
                assert go_on.wait(30)
            queue.put(job)

        def __getattr__(self, name: str) -> Any:
            return getattr(queue, name)

    monkeypatch.setattr(database, "_jobs", Held())
    with ThreadPoolExecutor(2) as threads:
        late = threads.submit(database.write, lambda c: c.execute("SELECT 1").fetchone())
        assert at_the_door.wait(30)
        closing = threads.submit(database.close)
        wait([closing], timeout=0.3)  # it must not end before the write that was first
        go_on.set()
        assert late.result(30) == (1,)
        closing.result(30)


def test_a_depot_that_cannot_be_opened_leaves_nothing_running(tmp_path: Path) -> None:
    """Neither a thread, which would keep the process alive, nor the lock of the folder."""
    before = set(threading.enumerate())
    (tmp_path / "blobs").write_text("in the way")
    for _ in range(2):
        with pytest.raises(NotADirectoryError):
            Depot(Place(tmp_path))
    assert set(threading.enumerate()) == before
    (tmp_path / "blobs").unlink()
    Depot(Place(tmp_path)).close()


def test_a_store_of_an_older_depot_goes_on_counting_its_runs(tmp_path: Path) -> None:
    """The number in a run's invented name: that of all runs there ever were, deleted ones among them."""
    path = tmp_path / "depot.sqlite"
    store = open_store(path)
    made = [_run(store, f"r{number}") for number in range(3)]
    store.delete_run(made[1].id)
    store.open_run("me", "other", "r1", RunEdit())
    store.close()
    older = sqlite3.connect(path)
    later = "ALTER TABLE projects DROP COLUMN runs_made; DROP TABLE used_tickets; DROP TABLE awaited;"
    older.executescript(f"{later} PRAGMA user_version = 7;")
    older.close()
    store = open_store(path)
    names = [_run(store, name).display_name for name in ("r3", "r0", "r4")]
    store.close()
    assert [name.rpartition("-")[2] for name in names] == ["4", "1", "5"]


def test_data_of_a_newer_depot_is_not_touched(tmp_path: Path) -> None:
    """A file with a higher version is refused with a text that says why."""
    SqliteDatabase(tmp_path / "d.sqlite").close()
    connection = sqlite3.connect(tmp_path / "d.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(RuntimeError, match="version 99"):
        SqliteDatabase(tmp_path / "d.sqlite")


def _row(step: int | None, **values: Any) -> str:
    return json.dumps({"_timestamp": 1.79e9 + (step or 0), **({} if step is None else {"_step": step}), **values})


@pytest.mark.parametrize("digested", [False, True])
def test_rows_that_come_again_behind_the_end_are_left_out(store: SqlStore, digested: bool) -> None:
    """By what they say, in whatever order of keys; what differs in one value stays, and so does what is new."""
    rows = [_row(step, loss=step / 7) for step in range(5000)] + [_row(None, note="no step")]
    run = _run(store)
    _write(store, run, 0, list(rows))
    if digested:
        assert list(digest(store, run.id))
    _run(store)  # it is opened again, and its client told how many lines there are
    turned = json.dumps(dict(reversed(json.loads(rows[4000]).items())))
    _write(store, run, 5001, [rows[17], turned, _row(2500, loss=9.0), rows[4999]])
    _write(store, run, 5005, [rows[4998], rows[5000], _row(None, note="another")])
    found = dict(store.lines(run.id, HISTORY, 5001))
    assert found == {5003: _row(2500, loss=9.0), 5007: _row(None, note="another")}
    assert store.line_counts(run.id).history == 5008
