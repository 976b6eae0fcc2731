"""The data folder from which a depot moves: read, locked, and never written."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backhaul.depot.keys import Secrets
from backhaul.depot.place import DATABASE, Place
from backhaul.depot.store import schemas


@dataclass(frozen=True, slots=True)
class Source:
    """A data folder of which nobody else has hold."""

    folder: Path
    database: sqlite3.Connection
    secrets: Secrets

    def path(self, blob: str) -> Path:
        """Where a blob lies."""
        return self.folder / "blobs" / blob[:2] / blob


@contextmanager
def opened(folder: Path) -> Iterator[Source]:
    """The folder's depot, as long as nobody else has it.

    Raises RuntimeError when there is none, when one runs over it, or when its tables are of another version.
    """
    file = folder / DATABASE
    if not file.exists():
        raise RuntimeError(f"there is no depot in {folder}: it has no {DATABASE}")
    lock = Place(folder).lock()
    try:
        database = _read_only(file)
        try:
            _check_version(database)
            yield Source(folder, database, Secrets.in_folder(folder))
        finally:
            database.close()
    finally:
        os.close(lock)


def _read_only(file: Path) -> sqlite3.Connection:
    """What a crash left in the write-ahead log is read too; without one, nothing at all is made beside the file."""
    log = file.with_name(f"{file.name}-wal")
    how = "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
    return sqlite3.connect(f"{file.absolute().as_uri()}?{how}", uri=True, isolation_level=None, check_same_thread=False)


def _check_version(database: sqlite3.Connection) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if list(schemas.missing("sqlite", version)):
        raise RuntimeError(f"its tables are of version {version}; start this version of the depot over it once")
