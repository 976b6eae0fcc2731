"""From where an operator keeps the relational half of a store to the database there."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import urlsplit

from backhaul.depot.store.database import Database
from backhaul.depot.store.interface import Clock
from backhaul.depot.store.sql_store import SqlStore
from backhaul.depot.store.sqlite import SqliteDatabase

_SCHEMES = ("postgresql://", "postgres://")


def open_database(where: Path | str) -> Database:
    """The database in a file, or at the address of a PostgreSQL database.

    Raises OSError when it cannot be opened, RuntimeError when it is of a newer version, or not of our kind.
    """
    if isinstance(where, Path):
        return SqliteDatabase(where)
    if not where.startswith(_SCHEMES):
        raise RuntimeError("a database is given as postgresql://user@host/name")
    try:
        from backhaul.depot.store.postgresql import PostgresDatabase
    except ImportError as error:
        raise RuntimeError("PostgreSQL needs the package psycopg: pip install 'backhaul[postgres]'") from error
    return PostgresDatabase(where)


def without_password(address: str) -> str:
    """The address of a database as it may be shown."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"


def open_store(where: Path | str, clock: Clock = time.time) -> SqlStore:
    """The store in a database. Raises as `open_database` does."""
    return SqlStore(open_database(where), clock)
