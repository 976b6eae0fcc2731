"""From where an operator keeps the relational half of a store to the database there."""

from __future__ import annotations

import time
from pathlib import Path

from backhaul.depot.store.database import Database
from backhaul.depot.store.interface import Clock
from backhaul.depot.store.sql_store import SqlStore
from backhaul.depot.store.sqlite import SqliteDatabase


def open_database(where: Path) -> Database:
    """The database in a file. Raises OSError when it cannot be opened, RuntimeError when it is of a newer version."""
    return SqliteDatabase(where)


def open_store(where: Path, clock: Clock = time.time) -> SqlStore:
    """The store in a database. Raises as `open_database` does."""
    return SqlStore(open_database(where), clock)
