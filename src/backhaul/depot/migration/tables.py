"""Rows move from SQLite to PostgreSQL, table by table, and are compared there.

A table with numbered rows goes on behind the last one that is there; any other is copied as a whole or not at all.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from backhaul.depot.store.database import Connection, Database

ORDER = (
    "projects", "runs", "users", "teams", "batches", "stretches", "stretch_columns", "files", "awaited", "alerts",
    "collections", "artifacts", "aliases", "links", "logged", "uses", "manifests", "contents", "uploads",
    "upload_parts", "sweeps", "agents", "proposals", "used_tickets",
)  # fmt: skip
"""The tables, each behind those that it refers to."""

MADE_ANEW = ("facets",)
"""What each database has in a form of its own, and is made of the others: all runs are marked for that."""

_ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Table:
    """A table by its columns. `flags` are those that are 0 and 1 here, and true and false there."""

    name: str
    columns: tuple[str, ...]
    flags: frozenset[str]

    @property
    def numbered(self) -> bool:
        """Whether its rows have numbers, which only grow."""
        return "id" in self.columns

    @property
    def quoted(self) -> str:
        """Its columns in a statement."""
        return ", ".join(f'"{column}"' for column in self.columns)

    def carried(self, row: Sequence[Any]) -> tuple[Any, ...]:
        """A row of SQLite as it is to be there."""
        return tuple(
            True if column == "facets_stale" else bool(value) if column in self.flags and value is not None else value
            for column, value in zip(self.columns, row, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Sum:
    """How many rows a table has, and a digest of them all that does not depend on their order."""

    rows: int
    digest: str


def table(source: sqlite3.Connection, target: Connection, name: str) -> Table:
    """The table, which both have."""
    columns = tuple(column for (column,) in source.execute("SELECT name FROM pragma_table_info(?)", (name,)))
    kinds = target.execute(
        "SELECT CAST(column_name AS TEXT), CAST(data_type AS TEXT) FROM information_schema.columns"
        " WHERE table_schema = current_schema AND table_name = ?",
        (name,),
    ).fetchall()
    if {column for column, _ in kinds} != set(columns):
        raise RuntimeError(f"the table {name} has other columns there than here")
    return Table(name, columns, frozenset(column for column, kind in kinds if kind == "boolean"))


def copy(source: sqlite3.Connection, target: Database, it: Table) -> None:
    """Brings the rows that are not there yet."""
    if it.numbered:
        last = target.read(lambda c: c.execute(f"SELECT coalesce(max(id), 0) FROM {it.name}").fetchone()[0])
        rows = source.execute(f"SELECT {it.quoted} FROM {it.name} WHERE id > ? ORDER BY id", (last,))
        while some := [it.carried(row) for row in islice(rows, _ROWS_AT_ONCE)]:
            target.write(lambda c, some=some: _insert(c, it, some))  # type: ignore[misc]
        target.write(lambda c: _go_on_counting(c, it, _highest_number(source, it.name)))
    elif target.read(lambda c: c.execute(f"SELECT count(*) FROM {it.name}").fetchone()[0]) == 0:
        rows = source.execute(f"SELECT {it.quoted} FROM {it.name}")
        target.write(lambda c: _insert(c, it, map(it.carried, rows)))


def _insert(connection: Connection, it: Table, rows: Iterable[Sequence[Any]]) -> None:
    places = ", ".join("?" * len(it.columns))
    connection.executemany(f"INSERT INTO {it.name} ({it.quoted}) VALUES ({places})", rows)


def _highest_number(source: sqlite3.Connection, name: str) -> int:
    """The highest number that was ever given, where SQLite remembers it; else the highest that is there."""
    given = source.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (name,)).fetchone()
    (there,) = source.execute(f"SELECT coalesce(max(id), 0) FROM {name}").fetchone()
    return int(max(there, given[0] if given else 0))


def _go_on_counting(connection: Connection, it: Table, highest: int) -> None:
    query = f"SELECT setval(pg_get_serial_sequence('{it.name}', 'id'), ?, ?)"
    connection.execute(query, (max(highest, 1), highest > 0))


def sum_here(source: sqlite3.Connection, it: Table) -> Sum:
    """Of the rows as they are to be there."""
    return _sum(map(it.carried, source.execute(f"SELECT {it.quoted} FROM {it.name}")))


def sum_there(target: Database, it: Table) -> Sum:
    """Of the rows that are there."""
    return target.read(lambda c: _sum(c.stream(f"SELECT {it.quoted} FROM {it.name}")))


def _sum(rows: Iterable[Sequence[Any]]) -> Sum:
    count = total = 0
    for row in rows:
        count += 1
        total += int.from_bytes(hashlib.sha256(b"".join(_parts(row))).digest())
    return Sum(count, f"{total % (1 << 256):064x}")


def _parts(row: Sequence[Any]) -> Iterator[bytes]:
    """Each value with its kind and its length, so that no two rows look the same."""
    for value in row:
        data = bytes(value) if isinstance(value, (bytes, memoryview)) else repr(value).encode("utf-8", "surrogatepass")
        kind = "bytes" if isinstance(value, memoryview) else type(value).__name__
        yield f"{kind}:{len(data)}:".encode() + data
