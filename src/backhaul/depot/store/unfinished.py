"""The mark on a place to which a depot is still moving: nobody works there before all of it has arrived.

It is a row among the secrets of the database, and an object beside the blobs; both hold the identity of what moves.
"""

from __future__ import annotations

from backhaul.depot.store.database import Connection

NAME = "unfinished-migration"

WORDS = "a move to there has not ended; run `backhaul depot migrate` again, with the same options"


def mark_of(connection: Connection) -> str | None:
    """What the mark on a database says; None where there is none."""
    row = connection.execute("SELECT value FROM secrets WHERE name = ?", (NAME,)).fetchone()
    return None if row is None else str(row[0])
