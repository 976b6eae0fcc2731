"""From what a user writes behind `--queue` to a queue."""

from __future__ import annotations

import os
from pathlib import Path

from backhaul.errors import QueuePlace
from backhaul.runs.home import expanded
from backhaul.runs.mounts import MountTable
from backhaul.sync.state_folder import state_folder
from backhaul.unattended.queue.interface import Queue
from backhaul.unattended.queue.sql_queue import SqlQueue
from backhaul.unattended.queue.sqlite import SqliteDatabase, refuse_shared

VARIABLE = "BACKHAUL_QUEUE"
_IN_POSTGRESQL = ("postgresql://", "postgres://")


def default_file() -> Path:
    """Where the queue of this user on this host lies."""
    return state_folder() / "queue.db"


def open_queue(where: str | None = None, mounts: MountTable | None = None) -> Queue:
    """The queue at `where`: a file, or the address of a PostgreSQL database; None is `$BACKHAUL_QUEUE`, or the user's
    own file.

    It is made when it is not there. Raises QueuePlace when it cannot be kept there, QueueUnavailable, DiskFull.
    """
    where = where or os.environ.get(VARIABLE) or str(default_file())
    if where.startswith(_IN_POSTGRESQL):
        from backhaul.unattended.queue.postgresql import PostgresDatabase

        return SqlQueue(PostgresDatabase(where))
    if "://" in where:
        raise QueuePlace(f"{where} is neither a file nor the address of a PostgreSQL database.")
    path = expanded(Path(where)).absolute()
    refuse_shared(path, mounts or MountTable.of_this_host())
    return SqlQueue(SqliteDatabase(path))
