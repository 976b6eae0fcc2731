"""The relational half of a store, whichever database it is: what the statements of this package are carried out on.

Statements are written once, in the SQL that SQLite and PostgreSQL share. Values stand in them as `?`, one after
another, or as `:name`. What both cannot say in the same words comes from the connection's `Dialect`.

Many may write at once. So work that reads something and then writes what follows from it first locks the row that it
is about (`locked`); everybody else who does so waits until it is committed, and then reads what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from backhaul.depot.store.dialect import Dialect

T = TypeVar("T")
V = TypeVar("V")

Values = Sequence[Any] | Mapping[str, Any]

_MOST_VALUES = 10_000  # in one statement; SQLite takes 32,766, PostgreSQL 65,535


class Rows(Protocol):
    """What a statement found, or how many rows it changed."""

    @property
    def rowcount(self) -> int:
        """How many rows an INSERT, UPDATE or DELETE changed."""

    def fetchone(self) -> Any:
        """The next row, or None."""

    def fetchall(self) -> list[Any]:
        """All rows."""

    def __iter__(self) -> Iterator[Any]:
        """The rows, one by one."""


class Connection(Protocol):
    """One transaction of the database."""

    @property
    def dialect(self) -> Dialect:
        """What this database says in words of its own."""

    def execute(self, query: str, values: Values = (), /) -> Rows:
        """Carries out one statement."""

    def executemany(self, query: str, rows: Iterable[Sequence[Any]], /) -> Any:
        """Carries out one statement for each row of values."""

    def stream(self, query: str, values: Values = ()) -> Iterator[Any]:
        """The rows of a SELECT as they are asked for: whoever stops early has read few."""


class Database(Protocol):
    """Transactions on one database. Safe to use from any thread.

    A database that fails is told to those who read or write then (`Refused`, 507 or 503), and is tried again with
    every request.
    """

    def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns; it sees one unchanging state of the database."""

    def write(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns, once its changes are durable. When it raises, nothing of it was stored.

        It may be called several times: once more when another's work came between. Only its last result counts.
        """

    def begin(self, work: Callable[[Connection], T]) -> Future[T]:
        """The same for a caller who does not wait: this returns at once, and the outcome is there when it is durable.

        Raises Refused when the database is closed.
        """

    def close(self) -> None:
        """Finishes the writes that are under way, then closes every connection."""


class Disturbed(Exception):
    """Another's work came between two statements of this one, which is done once more."""


def locked(connection: Connection, table: str, row_id: int) -> bool:
    """Holds a row until the end of the transaction; False when it is not there."""
    query = f"SELECT 1 FROM {table} WHERE id = ?{connection.dialect.locking}"
    return connection.execute(query, (row_id,)).fetchone() is not None


def portions(values: list[V]) -> Iterator[tuple[str, list[V]]]:
    """A long list in pieces, each with the placeholders for its values: what stands between the brackets of `IN`."""
    for start in range(0, len(values), _MOST_VALUES):
        piece = values[start : start + _MOST_VALUES]
        yield ", ".join("?" * len(piece)), piece
