"""A database that several depots share: PostgreSQL. Needs psycopg (the extra `postgres`).

Everybody writes at once: each transaction has a connection of its own, and the server makes those durable together that
end at the same time. Work that reads and then writes holds the row that it is about (see `database`), and every
statement sees what was committed before it. Where two come into each other's way all the same, one of them is done
once more.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from itertools import count
from typing import Any, TypeVar

import psycopg
from psycopg import errors

from backhaul.depot.refusal import Refused, disk_full
from backhaul.depot.store import schemas
from backhaul.depot.store.database import Connection, Disturbed, Values
from backhaul.depot.store.pool import MOST, Pool, Raw
from backhaul.depot.store.postgres_dialect import POSTGRESQL
from backhaul.depot.store.unusable import PlaceUnreachable

T = TypeVar("T")

_READ = b"BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_WRITE = b"BEGIN ISOLATION LEVEL READ COMMITTED"
_ATTEMPTS = 12
_LONGEST_PAUSE = 0.5  # seconds
_PREPARING = 0x6261636B  # the number of the lock under which tables are made
_ROWS_AT_ONCE = 1000


class PostgresDatabase:
    """A `Database` at an address, in the schema that comes first in the search path.

    Raises PlaceUnreachable when it cannot be used, RuntimeError when its tables are of a newer version.
    """

    def __init__(self, address: str) -> None:
        self._pool = Pool(address)
        self._writers = ThreadPoolExecutor(MOST, "depot-writer")
        try:
            self._transaction(_WRITE, _prepare)
        except psycopg.Error as error:
            self._pool.close()
            raise PlaceUnreachable(f"the database cannot be used: {_words(error)}") from error
        except BaseException:
            self._pool.close()
            raise

    def read(self, work: Callable[[Connection], T]) -> T:
        """See `Database`."""
        try:
            return self._transaction(_READ, work)
        except (psycopg.Error, *_UNSTORABLE) as error:
            raise _explained(error) from error

    def write(self, work: Callable[[Connection], T]) -> T:
        """See `Database`."""
        for attempt in range(_ATTEMPTS):
            try:
                return self._transaction(_WRITE, work)
            except _AGAIN as error:
                if isinstance(error, psycopg.IntegrityError) and attempt == _ATTEMPTS - 1:
                    raise
                time.sleep(random.random() * min(_LONGEST_PAUSE, 0.002 * 2**attempt))
            except (psycopg.Error, *_UNSTORABLE) as error:
                raise _explained(error) from error
        raise Refused("too many are changing the same thing at once; try again", 503)

    def begin(self, work: Callable[[Connection], T]) -> Future[T]:
        """See `Database`."""
        try:
            return self._writers.submit(self.write, work)
        except RuntimeError:
            raise Refused("the depot is stopping", 503) from None

    def close(self) -> None:
        """See `Database`."""
        self._writers.shutdown(wait=False)
        self._pool.close()

    def _transaction(self, begin: bytes, work: Callable[[Connection], T]) -> T:
        with self._pool.begun(begin) as raw:
            try:
                result = work(_Connection(raw))
            except BaseException:
                if not raw.closed:
                    raw.execute(b"ROLLBACK")
                raise
            raw.execute(b"COMMIT")
            return result


class _Connection:
    """A `Connection` to the server."""

    dialect = POSTGRESQL
    _names = count()

    def __init__(self, raw: Raw) -> None:
        self._raw = raw

    def execute(self, query: str, values: Values = (), /) -> psycopg.Cursor[Any]:
        """See `Connection`."""
        return self._raw.cursor(binary=True).execute(_translated(query), values)

    def executemany(self, query: str, rows: Iterable[Sequence[Any]], /) -> None:
        """See `Connection`. Nobody waits for the answer to each."""
        self._raw.cursor().executemany(_translated(query), rows)

    def stream(self, query: str, values: Values = ()) -> Iterator[Any]:
        """See `Connection`."""
        with self._raw.cursor(name=f"stream_{next(self._names)}", binary=True) as cursor:
            cursor.itersize = _ROWS_AT_ONCE
            yield from cursor.execute(_translated(query), values)


_TOKEN = re.compile(r"('[^']*')|(\?)|(?<!:):([a-z_]\w*)|(%)")


@lru_cache(maxsize=1000)
def _translated(query: str) -> bytes:
    """The statement with the marks of psycopg for its values. Statements are ours: no value ever stands in them."""

    def mark(found: re.Match[str]) -> str:
        text, place, name, _ = found.groups()
        if text:
            return str(text).replace("%", "%%")
        return "%s" if place else f"%({name})s" if name else "%%"

    return _TOKEN.sub(mark, query).encode()


def _prepare(connection: Connection) -> None:
    """Brings the tables to this version, while others who start at the same time wait."""
    connection.execute("SELECT pg_advisory_xact_lock(?)", (_PREPARING,))
    connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
    row = connection.execute("SELECT version FROM schema_version").fetchone()
    for number, step in schemas.missing("postgresql", row[0] if row else 0):
        for statement in schemas.statements(step):
            connection.execute(statement)
        connection.execute("DELETE FROM schema_version")
        connection.execute("INSERT INTO schema_version VALUES (?)", (number,))


_AGAIN = (Disturbed, errors.SerializationFailure, errors.DeadlockDetected, errors.UniqueViolation,
          errors.ForeignKeyViolation)  # fmt: skip
"""Another's work came between. Also a row that was not there when it was looked for and is there now, or gone."""

_UNSTORABLE = (psycopg.DataError, UnicodeEncodeError, OverflowError)
"""What JSON can carry and PostgreSQL cannot store: a number beyond 64 bits, half of a surrogate pair."""

_OF_THE_SERVER = (psycopg.OperationalError, psycopg.InterfaceError, errors.InsufficientPrivilege,
                  errors.ReadOnlySqlTransaction, errors.IdleInTransactionSessionTimeout,
                  errors.DataCorrupted)  # fmt: skip


def _explained(error: Exception) -> Exception:
    """What it means for the request; an error that means nothing known stays what it is: it is a bug."""
    if isinstance(error, _UNSTORABLE):
        return Refused(f"a value of the request cannot be stored: {_words(error)}")
    if isinstance(error, errors.DiskFull):
        return disk_full()
    if isinstance(error, _OF_THE_SERVER):
        return Refused(f"the depot cannot use its database ({_words(error)}); send the request again", 503)
    return error


def _words(error: Exception) -> str:
    """The first line of a message; what follows are statements and hints."""
    return str(error).strip().partition("\n")[0]
