"""One SQLite file: many readers, one writer thread that commits what waits in one go.

Write-ahead log with full synchronisation: a commit is on the disk when it returns. One fsync costs far more than one
small transaction, so everything that arrived while the last commit was under way shares the next.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from backhaul.depot.refusal import Refused, disk_failed, disk_full
from backhaul.depot.store import schemas
from backhaul.depot.store.database import Values
from backhaul.depot.store.dialect import SQLITE

T = TypeVar("T")

# At most, for each connection; with the default of 2 MiB, pages of indexes are read over and over.
_CACHE_KIB = 32 << 10
_MOST_AT_ONCE = 256


class SqliteConnection(sqlite3.Connection):
    """A `Connection` to the file."""

    dialect = SQLITE

    def stream(self, query: str, values: Values = ()) -> Iterator[Any]:
        """See `Connection`."""
        return iter(self.execute(query, values))


Work = Callable[[SqliteConnection], T]


class SqliteDatabase:
    """A `Database` in one file.

    Raises OSError when the file cannot be opened, RuntimeError when it is of a newer version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[SqliteConnection] = []
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()  # as long as there are requests under way
        self._entrance = threading.Lock()
        self._closed = False
        try:
            connection = self._connect()
            _prepare(connection)
        except sqlite3.Error as error:
            raise OSError(f"{path}: {error}") from error
        self._writer = threading.Thread(target=self._write_all, args=(connection,), name="depot-writer")
        self._writer.start()

    def read(self, work: Work[T]) -> T:
        """See `Database`."""
        try:
            with self._borrowed() as connection:
                connection.execute("BEGIN")
                try:
                    return work(connection)
                finally:
                    connection.execute("COMMIT")
        except (sqlite3.Error, *_UNSTORABLE) as error:
            raise _explained(error) from error

    def write(self, work: Work[T]) -> T:
        """See `Database`. It is called once more when it shared a transaction with another one's that failed."""
        return self.begin(work).result()

    def begin(self, work: Work[T]) -> Future[T]:
        """See `Database`."""
        job = _Job(work, Future())
        self._put(job)
        return job.outcome

    def close(self) -> None:
        """Finishes the writes that wait, then closes every connection."""
        with self._entrance:
            if self._closed:
                return
            self._closed = True
            self._jobs.put(None)
        self._writer.join()
        with self._lock:
            for connection in self._idle:
                connection.close()
            self._idle.clear()

    def _put(self, job: _Job) -> None:
        """Nothing comes behind the end: nobody would do it, and its caller would wait for ever."""
        with self._entrance:
            if self._closed:
                raise Refused("the depot is stopping", 503)
            self._jobs.put(job)

    def _connect(self) -> SqliteConnection:
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, timeout=30, factory=SqliteConnection
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        return connection

    @contextmanager
    def _borrowed(self) -> Iterator[SqliteConnection]:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        connection = connection or self._connect()
        usable = True
        try:
            yield connection
        except sqlite3.Error:
            usable = False
            connection.close()  # which ends its transaction, in whatever state it is
            raise
        finally:
            if usable:
                with self._lock:
                    self._idle.append(connection)

    def _write_all(self, connection: SqliteConnection | None) -> None:
        """The writer. After an error of the disk nothing is known of a connection: the next jobs get a new one."""
        while jobs := self._waiting():
            try:
                connection = connection or self._connect()
                _commit(connection, jobs)
            except sqlite3.Error as error:
                _fail(jobs, error)
                if connection is not None:
                    connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def _waiting(self) -> list[_Job]:
        """The next jobs in their order; none when the database closes."""
        job = self._jobs.get()
        jobs: list[_Job] = []
        while job is not None:
            jobs.append(job)
            if len(jobs) == _MOST_AT_ONCE or self._jobs.empty():
                return jobs
            job = self._jobs.get()
        if jobs:
            self._jobs.put(None)  # finish these first, then see the end again
        return jobs


class _Job:
    """A piece of work for the writer, and where its outcome goes."""

    def __init__(self, work: Work[Any], outcome: Future[Any]) -> None:
        self.work = work
        self.outcome = outcome


def _prepare(connection: SqliteConnection) -> None:
    """Brings the tables of a new or an older file to this version. Raises RuntimeError for a newer one."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for number, step in schemas.missing("sqlite", version):
        connection.executescript(f"BEGIN IMMEDIATE; {step} PRAGMA user_version = {number}; COMMIT;")


def _commit(connection: SqliteConnection, jobs: list[_Job]) -> None:
    """Does all jobs in one transaction; one that fails takes only itself back. Raises when the disk fails.

    A savepoint around each job costs as much as a small job. So there is none, until one of the jobs fails.
    """
    done = _together(connection, jobs) or _one_by_one(connection, jobs)
    connection.execute("COMMIT")
    for job, result in done:
        job.outcome.set_result(result)


def _together(connection: SqliteConnection, jobs: list[_Job]) -> list[tuple[_Job, Any]]:
    """All jobs with their results; none, and nothing done, when one of them failed."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        return [(job, job.work(connection)) for job in jobs]
    except Exception as error:
        if _gave_up(connection, error):
            raise
        connection.execute("ROLLBACK")
        return []


def _one_by_one(connection: SqliteConnection, jobs: list[_Job]) -> list[tuple[_Job, Any]]:
    """The jobs that did not fail, with their results; the others have been told why."""
    done: list[tuple[_Job, Any]] = []
    connection.execute("BEGIN IMMEDIATE")
    for job in jobs:
        _attempt(connection, job, done)
    return done


def _gave_up(connection: SqliteConnection, error: Exception) -> bool:
    """Whether SQLite itself ended the transaction (disk full, I/O error): nothing that was done in it is left."""
    return isinstance(error, sqlite3.Error) and not connection.in_transaction


def _attempt(connection: SqliteConnection, job: _Job, done: list[tuple[_Job, Any]]) -> None:
    connection.execute("SAVEPOINT job")
    try:
        result = job.work(connection)
    except Exception as error:
        if _gave_up(connection, error):
            raise
        connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")
        job.outcome.set_exception(_explained(error))
        return
    connection.execute("RELEASE job")
    done.append((job, result))


def _fail(jobs: list[_Job], error: sqlite3.Error) -> None:
    for job in jobs:
        if not job.outcome.done():
            job.outcome.set_exception(_explained(error))


_UNSTORABLE = (OverflowError, UnicodeEncodeError)
"""What a value raises that JSON can carry and SQLite cannot: a number beyond 64 bits, half of a surrogate pair."""

_OF_THE_DISK = frozenset(
    {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_BUSY,
     sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_PROTOCOL}
)  # fmt: skip


def _explained(error: Exception) -> Exception:
    """What a failing disk or an odd value means for the request; any other error stays what it is: it is a bug."""
    if isinstance(error, _UNSTORABLE):
        return Refused(f"a value of the request cannot be stored: {error}")
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return error
    primary = code & 0xFF
    if primary == sqlite3.SQLITE_FULL:
        return disk_full()
    return disk_failed(str(error)) if primary in _OF_THE_DISK else error
