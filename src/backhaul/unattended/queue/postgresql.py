"""Rows in a PostgreSQL database, for several hosts that share the work. Needs psycopg (the extra `postgres`)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from backhaul.errors import ConfigurationError, DiskFull, QueuePlace, QueueUnavailable
from backhaul.unattended.queue.database import Execute, Row
from backhaul.unattended.queue.queries import TABLES, queries_for_psycopg

try:
    import psycopg
    from psycopg.rows import dict_row
except ImportError as error:  # pragma: no cover - the tests have it
    raise ConfigurationError(
        "A queue in PostgreSQL needs the package psycopg, which is not installed.",
        next="Install it with `pip install 'backhaul[postgres]'`, or leave out --queue to use a file of this host.",
    ) from error

_CONNECT_WITHIN = 10
# Seconds. A host may lose the network in the middle of a transaction: it is told so by then, and the server takes the
# turn from it, so that all the others go on.
_DEAD_AFTER = 10
_IDLE_AT_MOST = 10
_TURN_WITHIN = 60
_LIVELY: dict[str, Any] = {
    "connect_timeout": _CONNECT_WITHIN,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": _DEAD_AFTER * 1000,
}
_VERSION = "1"


class PostgresDatabase:
    """The rows in the database that `url` names, in tables that are made when they are not there.

    Transactions take their turns by an advisory lock, so that all who share the work see one order of events; a turn
    is taken from a host that was cut off in the middle of it, and what it had changed is undone. `clock`
    (Unix seconds) stands in for the server's own, by which all hosts go. Raises QueuePlace for tables of a newer
    version, QueueUnavailable, DiskFull.
    """

    def __init__(self, url: str, clock: Callable[[], float] | None = None) -> None:
        self._url = url
        self._clock = clock
        self._connection: psycopg.Connection[dict[str, Any]] | None = None
        self._turn = threading.Lock()
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def now(self) -> float:
        """As in `Database`: the server's clock."""
        if self._clock is not None:
            return self._clock()
        with self._turn, self._told():
            return float(_execute(self._connected(), "now", {})[0]["now"])

    def close(self) -> None:
        """As in `Database`."""
        with self._turn:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    @contextmanager
    def transaction(self) -> Iterator[Execute]:
        """As in `Database`. A connection that was lost is made anew."""
        with self._turn, self._told():
            connection = self._connected()

            def execute(query: str, /, **parameters: Any) -> list[Row]:
                return _execute(connection, query, parameters)

            with connection.transaction():
                execute("lock")
                yield execute

    def _prepare(self) -> None:
        with self.transaction() as execute:
            for name in TABLES:
                execute(name)
            version = execute("fact", name="version")
            if not version:
                execute("put_fact", name="version", value=_VERSION)
            elif version[0]["value"] != _VERSION:
                raise QueuePlace(
                    f"The queue in {_without_password(self._url)} is of version {version[0]['value']}; "
                    f"this program knows {_VERSION}.",
                    next="Use the newer Backhaul that made it, or give another database with --queue.",
                )

    def _connected(self) -> psycopg.Connection[dict[str, Any]]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._url, autocommit=True, row_factory=dict_row, **_LIVELY)
            _execute(self._connection, "bounds", {"idle": f"{_IDLE_AT_MOST}s", "turn": f"{_TURN_WITHIN}s"})
        return self._connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        where = _without_password(self._url)
        try:
            yield
        except psycopg.errors.DiskFull as error:
            raise DiskFull(f"The queue in {where} cannot be written: {_words(error)}") from error
        except (
            psycopg.errors.InvalidPassword,
            psycopg.errors.InsufficientPrivilege,
            psycopg.ProgrammingError,
        ) as error:
            raise QueuePlace(f"The queue in {where} cannot be used: {_words(error)}") from error
        except psycopg.Error as error:
            raise QueueUnavailable(f"The queue in {where} cannot be reached: {_words(error)}") from error


def _execute(connection: psycopg.Connection[dict[str, Any]], name: str, parameters: dict[str, Any]) -> list[Row]:
    # The texts are those of one file of ours, so that nothing of a user's can become a statement.
    cursor = connection.execute(queries_for_psycopg()[name].encode(), parameters)
    return list(cursor.fetchall()) if cursor.description else []


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"


def _words(error: psycopg.Error) -> str:
    return " ".join(str(error).split())
