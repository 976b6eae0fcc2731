"""Stretches: what is kept of rows must say the same as the rows."""

from __future__ import annotations

import json
import math
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from backhaul.depot.digester import Digester, digest
from backhaul.depot.history import HistoryReader
from backhaul.depot.model import HISTORY, Delivery, Run, RunEdit
from backhaul.depot.series import SeriesReader, View
from backhaul.depot.store import Store, schemas
from backhaul.depot.store.lines import pack
from backhaul.depot.store.opening import open_store
from backhaul.depot.store.sql_store import SqlStore

_ROWS = 9000


def _line(number: int) -> str:
    """Rows of several shapes: nested values, texts, NaN, a key that comes and goes, rows without a step."""
    row: dict[str, Any] = {"_step": 3 * number, "_timestamp": 1e9 + number / 7, "loss": math.sin(number)}
    if number % 5 == 0:
        row["val"] = {"acc": number, "note": f"n{number}"}
    if number % 701 == 0:
        row["loss"] = math.nan
    if number % 997 == 996:
        del row["_step"]
    return json.dumps(row)


def _write(store: SqlStore, lines: list[str], offset: int = 0) -> Run:
    run = store.run("me", "p", "r") or store.open_run("me", "p", "r", RunEdit())[0]
    for start in range(0, len(lines), 500):
        store.deliver(run.id, Delivery(batches={HISTORY: pack(offset + start, lines[start : start + 500])})).result()
    return run


def _digest(store: SqlStore, run: Run) -> None:
    list(digest(store, run.id))
    assert store.stretches(run.id)


def _last_step(store: SqlStore, run: Run) -> int:
    return int((HistoryReader(store).keys(run) or {})["lastStep"])


def _answers(store: SqlStore, run: Run) -> list[Any]:
    reader = HistoryReader(store)
    pages = [reader.page(run, first, first + 700) for first in (0, 5000, 11_000, 26_000, 90_000)]
    after = [reader.line_after_step(run, step) for step in (-1, 4000, 26_500, 1e9)]
    return [reader.keys(run), _last_step(store, run), pages, after]


def test_a_digested_run_answers_as_its_rows_do(store: SqlStore) -> None:
    """Keys, counts of types, last values, pages by step and line numbers are the same before and afterwards."""
    run = _write(store, [_line(number) for number in range(_ROWS)])
    expected = _answers(store, run)
    assert expected[0]["keys"]["val.acc"]["typeCounts"] == [{"type": "number", "count": _ROWS // 5}]
    assert expected[1] == 3 * (_ROWS - 1)
    _digest(store, run)
    assert _answers(store, run) == expected


@pytest.mark.parametrize("axis", ["_step", "_timestamp"])
def test_a_chart_of_a_digested_run_keeps_its_spikes_where_they_are(store: SqlStore, axis: str) -> None:
    """The lowest and the highest value stay, over their true x."""
    run = _write(store, [_line(number) for number in range(_ROWS)])
    spikes = {1234: 99.0, 6789: -99.0}
    for number, value in spikes.items():
        _write(store, [json.dumps(json.loads(_line(number)) | {"loss": value})], offset=number)
    _digest(store, run)
    series = SeriesReader(store, HistoryReader(store)).series(run, "loss", View(axis=axis, points=100))
    assert len(series.x) <= 100
    found = {value: x for x, value in zip(series.x, series.y, strict=True) if abs(value) > 1}
    expected = {value: 3.0 * number if axis == "_step" else 1e9 + number / 7 for number, value in spikes.items()}
    assert found == expected


def test_a_spike_in_a_row_without_a_step_stands_over_its_line_number(store: SqlStore) -> None:
    """Lines are counted from the start of the run, not from the start of the stretch that the row lies in."""
    number = 5 * 997 - 1
    run = _write(store, [_line(each) for each in range(_ROWS)])
    _write(store, ['{"loss":99}'], offset=number)
    _digest(store, run)
    assert store.stretches(run.id)[0].stop <= number
    series = SeriesReader(store, HistoryReader(store)).series(run, "loss", View(points=100))
    assert series.x[series.y.index(99.0)] == number


def test_a_zoom_into_a_digested_run_shows_every_row(store: SqlStore) -> None:
    """In a short range all points are drawn, and one beyond each edge, also where a stretch ends."""
    run = _write(store, [f'{{"_step":{step},"v":{-step}}}' for step in range(_ROWS)])
    _digest(store, run)
    edge = store.stretches(run.id)[0].stop
    series = SeriesReader(store, HistoryReader(store)).series(run, "v", View(start=edge, stop=edge + 2))
    assert series.x.tolist() == [edge - 1, edge, edge + 1, edge + 2, edge + 3]
    assert series.y.tolist() == [-x for x in series.x]


@pytest.mark.parametrize("offset", [0, 4000, _ROWS - 20, _ROWS])
def test_lines_that_change_are_known_anew(store: SqlStore, offset: int) -> None:
    """What was kept of a line goes with it: rewritten, or joined by the lines behind it."""
    run = _write(store, [_line(number) for number in range(_ROWS)])
    _digest(store, run)
    _write(store, ['{"_step":77777,"other":1}'] * 40, offset)
    fresh = _answers(store, run)
    assert fresh[0]["keys"]["other"]["typeCounts"] == [{"type": "number", "count": 40}]
    assert fresh[1] == 77777
    _digest(store, run)
    assert _answers(store, run) == fresh


def test_lines_that_were_taken_back_are_forgotten(store: SqlStore) -> None:
    """A run that is rewound, and then goes on in another way, shows nothing of what was there before."""
    run = _write(store, [_line(number) for number in range(_ROWS)])
    _digest(store, run)
    store.truncate(run.id, HISTORY, 5000)
    assert _last_step(store, run) == 3 * 4999
    _write(store, ['{"_step":20000,"loss":5}'], 5000)
    _digest(store, run)
    series = SeriesReader(store, HistoryReader(store)).series(run, "loss", View(points=50))
    assert (series.x[-1], series.y[-1]) == (20000.0, 5.0)


def test_a_stretch_of_lines_that_were_replaced_meanwhile_is_not_kept(store: SqlStore) -> None:
    """The digester reads, others write: what it made of old lines must not come to stand for new ones."""
    run = _write(store, [_line(number) for number in range(_ROWS)])

    def write_first(*args: Any) -> bool:
        _write(store, ['{"_step":1,"loss":1000}'], 1)
        return store.put_stretch(*args)

    assert list(digest(_with_put_stretch(store, write_first), run.id)) == []
    assert store.stretches(run.id) == []


def _with_put_stretch(store: SqlStore, put_stretch: Callable[..., bool]) -> Any:
    """The store with that method instead of its own."""

    class Changed:
        def __getattr__(self, name: str) -> Any:
            return put_stretch if name == "put_stretch" else getattr(store, name)

    return Changed()


def test_the_digester_digests_what_it_is_told_of(store: SqlStore) -> None:
    """It works by itself until all is done that can be, and ends when told."""
    run = _write(store, [_line(number) for number in range(_ROWS)])
    done = threading.Event()

    def note(*args: Any) -> bool:
        kept = store.put_stretch(*args)
        if store.stretches(run.id)[-1].stop > _ROWS - 4096:
            done.set()
        return kept

    digester = Digester(_with_put_stretch(store, note))
    try:
        digester.note(run.id)
        assert done.wait(30)
    finally:
        digester.close()


def test_a_deleted_run_leaves_nothing_of_its_charts(store: SqlStore) -> None:
    """Stretches and their columns go with the run."""
    run = _write(store, [_line(number) for number in range(_ROWS)])
    _digest(store, run)
    assert store.stretch_column(run.id, HISTORY, "loss")
    store.delete_run(run.id)
    assert store.stretches(run.id) == []
    assert store.stretch_column(run.id, HISTORY, "loss") == {}


def test_a_store_of_version_2_is_brought_forward(tmp_path: Path) -> None:
    """Lines that an older depot took in are there, and get their stretches now."""
    path = tmp_path / "depot.sqlite"
    lines = [f'{{"_step":{step},"v":{step}}}' for step in range(6000)]
    folder = Path(schemas.__file__).parent / "sqlite"
    with closing(sqlite3.connect(path)) as old:
        for number in (1, 2):
            old.executescript((folder / f"{number}.sql").read_text())
        old.execute("INSERT INTO projects VALUES (1, 'me', 'p', 0)")
        columns = "id, project_id, name, display_name, state, created_at, updated_at, heartbeat_at"
        old.execute(f"INSERT INTO runs ({columns}) VALUES (1, 1, 'r', 'old', 'finished', 0, 0, 0)")
        for batch in pack(0, lines):
            values = (1, HISTORY, batch.first, batch.count, batch.size, batch.body)
            old.execute(
                "INSERT INTO batches (run_id, stream, first, count, size, body) VALUES (?, ?, ?, ?, ?, ?)", values
            )
        old.execute("PRAGMA user_version = 2")
        old.commit()
    with closing(open_store(path)) as store:
        run = store.run("me", "p", "r")
        assert run
        assert (run.display_name, _last_step(store, run)) == ("old", 5999)
        _digest(store, run)
        assert HistoryReader(store).page(run, 5998, 7000) == lines[5998:]


def test_the_digester_files_the_facets_that_a_store_lacks_when_it_starts(store: SqlStore) -> None:
    """After an import or an upgrade nobody who opens a list waits until all runs are filed."""
    for number in range(450):
        store.open_run("me", "p", f"r{number}", RunEdit())
    done = threading.Event()

    class Watched:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def refresh_facets(self) -> bool:
            more = store.refresh_facets()
            if not more:
                done.set()
            return more

    digester = Digester(cast("Store", Watched()))
    try:
        assert done.wait(30)
    finally:
        digester.close()
    assert not store.refresh_facets()
