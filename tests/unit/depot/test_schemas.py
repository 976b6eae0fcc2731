"""Stores of all earlier depots are brought forward."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest

from backhaul.depot.store import schemas
from backhaul.depot.store.opening import open_store

_VERSIONS = [number for number, _ in schemas.missing("sqlite", 0)]


def _tables(path: Path) -> Iterator[tuple[str, list[tuple[object, ...]]]]:
    """Every table and index with its columns: name, type, whether it may be empty, default, place in the key."""
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name, type FROM sqlite_schema ORDER BY name").fetchall()
        for name, kind in names:
            pragma = "table_info" if kind == "table" else "index_info"
            columns = connection.execute(f"SELECT * FROM pragma_{pragma}(?)", (name,)).fetchall()
            yield name, sorted((row[1:] if kind == "table" else row for row in columns), key=str)


@pytest.mark.parametrize("version", _VERSIONS)
def test_a_store_of_any_version_becomes_one_of_the_latest(tmp_path: Path, version: int) -> None:
    """Its tables are those of a new store, and what was in it is there."""
    path = tmp_path / "depot.sqlite"
    with closing(sqlite3.connect(path)) as old:
        for _, script in islice(schemas.missing("sqlite", 0), version):
            old.executescript(script)
        old.execute("INSERT INTO projects (id, entity, name, created_at) VALUES (1, 'me', 'p', 0)")
        columns = "project_id, name, display_name, state, created_at, updated_at, heartbeat_at, notes"
        old.execute(f"INSERT INTO runs ({columns}) VALUES (1, 'r', 'old', 'finished', 1, 2, 3, 'kept')")
        old.execute(f"PRAGMA user_version = {version}")
        old.commit()
    with closing(open_store(path)) as store:
        run = store.run("me", "p", "r")
        assert run is not None
        assert (run.display_name, run.notes, run.heartbeat_at) == ("old", "kept", 3)
    open_store(tmp_path / "new.sqlite").close()
    assert dict(_tables(path)) == dict(_tables(tmp_path / "new.sqlite"))
