"""Secrets that all depots over one database have."""

from __future__ import annotations

from backhaul.depot.store.database import Connection, Database


def shared(database: Database, name: str, fresh: str) -> str:
    """The secret of that name; `fresh` becomes it when there is none. All who ask at once get the same."""

    def work(connection: Connection) -> str:
        connection.execute("INSERT INTO secrets VALUES (?, ?) ON CONFLICT DO NOTHING", (name, fresh))
        (value,) = connection.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()
        return str(value)

    return database.write(work)
