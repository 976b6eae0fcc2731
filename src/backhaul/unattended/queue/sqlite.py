"""Rows in a SQLite file of one host.

Each transaction opens the file anew: a queue has little traffic, and nobody then holds on to a file that somebody else
has set aside. Rollback journal with full synchronisation: what was committed is on the disk. File and journal are
larger than they need be, so that changes find room also when others have filled the disk. A damaged file is set
aside, never deleted, and the runs that can still be read out of it are put into a new one.
"""

from __future__ import annotations

import fcntl
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from backhaul.errors import DiskFull, QueuePlace, QueueUnavailable
from backhaul.runs.mounts import MountTable
from backhaul.unattended.queue import row
from backhaul.unattended.queue.database import Execute
from backhaul.unattended.queue.entry import NOTHING_READ, Entry, QueueState
from backhaul.unattended.queue.queries import TABLES, queries

_WAIT_FOR_OTHERS = 30.0
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_VERSION = 1
# Of 4 KiB, as a rule.
_ROOM_PAGES = 64


def refuse_shared(path: Path, mounts: MountTable) -> None:
    """Raises QueuePlace when `path` lies where SQLite's locks do not hold among hosts."""
    mount = mounts.holding(path)
    if mount.kind and mount.is_shared:
        raise QueuePlace(
            f"The queue {path} would lie on {mount.point}, a file system of several hosts ({mount.kind}), "
            "on which SQLite's locks cannot be relied on."
        )


class SqliteDatabase:
    """The rows in the file `path`, which is made when it is not there.

    `clock` gives Unix seconds. Raises QueuePlace for a folder and for a file of a newer version, QueueUnavailable,
    DiskFull.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        with _told(path):
            if path.is_dir():
                raise QueuePlace(f"{path} is a folder, and the queue is a file.")
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self._is_damaged():
                self._set_aside()
            with closing(self._connect()) as connection:
                _prepare(connection, path)
                _have_room(connection)

    def now(self) -> float:
        """As in `Database`: this host's clock."""
        return self._clock()

    def close(self) -> None:
        """As in `Database`: no connection outlives a transaction."""

    @contextmanager
    def transaction(self) -> Iterator[Execute]:
        """As in `Database`. A file that is damaged by now is set aside, and the next transaction finds a new one."""
        with _told(self._path):
            try:
                with closing(self._connect()) as connection, _committed(connection):
                    yield _executing(connection)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error) or not self._is_damaged():
                    raise
                self._set_aside()
                raise QueueUnavailable(f"The queue {self._path} is damaged ({error}); it was set aside.") from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=_WAIT_FOR_OTHERS)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous = FULL")
        # The journal's blocks stay its own from one transaction to the next.
        connection.execute("PRAGMA journal_mode = PERSIST")
        return connection

    def _is_damaged(self) -> bool:
        try:
            with closing(self._connect()) as connection:
                (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            if _is_damage(error):
                return True
            raise
        return bool(answer != "ok")

    def _set_aside(self) -> None:
        """Rename the damaged file, and make a new one with the runs that can be read out of it."""
        with self._path.with_name(self._path.name + ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._is_damaged():
                # Somebody else was faster.
                return
            aside = self._aside()
            journal = self._path.with_name(self._path.name + "-journal")
            if journal.exists():
                journal.rename(aside.with_name(aside.name + "-journal"))
            self._path.rename(aside)
            with closing(self._connect()) as connection:
                _prepare(connection, self._path)
                with _committed(connection):
                    for parameters in _readable(aside, self._clock()):
                        connection.execute(queries()["put_run"], parameters)

    def _aside(self) -> Path:
        name = f"{self._path.name}.damaged-{time.strftime('%Y%m%d_%H%M%S', time.gmtime(self._clock()))}"
        number, aside = 1, self._path.with_name(name)
        while aside.exists():
            number += 1
            aside = self._path.with_name(f"{name}-{number}")
        return aside


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > _VERSION:
        raise QueuePlace(
            f"The queue {path} is of version {version}; this program knows up to {_VERSION}.",
            next="Use the newer Backhaul that made it, or give another file with --queue.",
        )
    if version == _VERSION:
        return
    with _committed(connection):
        for name in TABLES:
            connection.execute(queries()[name])
        connection.execute("PRAGMA user_version = 1")


def _have_room(connection: sqlite3.Connection) -> None:
    """Let file and journal have room for some hundred rows; on a full disk they have what they have."""
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    if free >= _ROOM_PAGES // 2:
        return
    size = _ROOM_PAGES * connection.execute("PRAGMA page_size").fetchone()[0]
    try:
        with _committed(connection):
            connection.execute(queries()["create_room"])
            connection.execute(queries()["fill_room"], {"size": size})
        with _committed(connection):
            # All its pages go through the journal, which keeps that size; then they are free.
            connection.execute(queries()["turn_over_room"], {"size": size})
            connection.execute(queries()["drop_room"])
    except sqlite3.OperationalError as error:
        if _primary_code(error) != sqlite3.SQLITE_FULL:
            raise


@contextmanager
def _committed(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _executing(connection: sqlite3.Connection) -> Execute:
    def execute(query: str, /, **parameters: Any) -> list[Mapping[str, Any]]:
        return [dict(each) for each in connection.execute(queries()[query], parameters)]

    return execute


def _readable(damaged: Path, now: float) -> Iterator[dict[str, Any]]:
    """The runs that a damaged file still names, as rows that are due: what came of them, their ledgers know."""
    try:
        with closing(sqlite3.connect(damaged, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            for each in connection.execute(queries()["runs_as_they_lie"]):
                try:
                    item = row.item_of(each)
                except (KeyError, TypeError, ValueError):
                    continue
                old = item.entry
                entry = Entry(old.log, old.to, old.entity, old.project, old.host, QueueState.PENDING, NOTHING_READ)
                if item.state is not QueueState.DROPPED and old.log.is_absolute():
                    yield row.parameters_of(row.new_item(entry, now))
    except sqlite3.Error:
        # Nothing more can be read: the folders and the ledgers have the rest.
        return


def _is_damage(error: sqlite3.Error) -> bool:
    return _primary_code(error) in _DAMAGED


def _primary_code(error: sqlite3.Error) -> int:
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if _primary_code(error) == sqlite3.SQLITE_FULL:
            raise DiskFull(f"The queue {path} cannot be written: {error}.") from error
        raise QueueUnavailable(f"The queue {path} cannot be used: {error}.") from error
    except OSError as error:
        raise QueueUnavailable(f"The queue {path} cannot be used: {error.strerror or error}.") from error
