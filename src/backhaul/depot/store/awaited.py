"""Files of runs that clients bring themselves, as rows."""

from __future__ import annotations

from collections.abc import Collection

from backhaul.depot.model import Awaited, Blob
from backhaul.depot.store import files
from backhaul.depot.store.database import Connection, Database, portions
from backhaul.depot.store.interface import Clock

_SOME = 10_000
_COLUMNS = "id, run_id, name, seen"


class SqlAwaitedFiles:
    """An `AwaitedFiles` in the store's database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def expect(self, run_id: int, names: list[str], expires_at: float) -> dict[str, Awaited]:
        """See `AwaitedFiles`."""
        return self._database.write(lambda c: _expect(c, run_id, sorted(set(names)), expires_at))

    def still(self, run_id: int, names: Collection[str] | None = None) -> list[Awaited]:
        """See `AwaitedFiles`."""
        if names is not None:
            return self._database.read(lambda c: _named(c, run_id, sorted(names)))
        query = f"SELECT {_COLUMNS} FROM awaited WHERE run_id = ? AND taken < asked"
        return self._database.read(lambda c: [Awaited(*row) for row in c.execute(query, (run_id,))])

    def runs(self) -> list[int]:
        """See `AwaitedFiles`."""
        query = "SELECT DISTINCT run_id FROM awaited WHERE taken < asked"
        return self._database.read(lambda c: [run_id for (run_id,) in c.execute(query)])

    def take(self, file: Awaited, seen: str, blob: Blob) -> str | None:
        """See `AwaitedFiles`."""
        return self._database.write(lambda c: _take(c, file, seen, blob, self._clock()))

    def over(self, before: float) -> list[Awaited]:
        """See `AwaitedFiles`."""
        query = f"SELECT {_COLUMNS} FROM awaited WHERE expires_at < ? ORDER BY expires_at LIMIT ?"
        return self._database.read(lambda c: [Awaited(*row) for row in c.execute(query, (before, _SOME))])

    def forget(self, files: list[Awaited], before: float) -> list[Awaited]:
        """See `AwaitedFiles`."""
        query = "DELETE FROM awaited WHERE id = ? AND coalesce(seen, '') = ? AND expires_at < ?"

        def is_forgotten(connection: Connection, file: Awaited) -> bool:
            return connection.execute(query, (file.id, file.seen or "", before)).rowcount > 0

        return self._database.write(lambda c: [file for file in files if is_forgotten(c, file)])

    def known(self, ids: Collection[int]) -> set[int]:
        """See `AwaitedFiles`."""

        def work(connection: Connection) -> set[int]:
            rows = (connection.execute("SELECT id FROM awaited WHERE id = ?", (each,)).fetchone() for each in ids)
            return {row[0] for row in rows if row}

        return self._database.read(work)


def _expect(connection: Connection, run_id: int, names: list[str], expires_at: float) -> dict[str, Awaited]:
    files.hold_run(connection, run_id)
    connection.executemany(
        "INSERT INTO awaited (run_id, name, asked, expires_at) VALUES (?, ?, 1, ?) ON CONFLICT (run_id, name)"
        " DO UPDATE SET asked = awaited.asked + 1, expires_at = excluded.expires_at",
        [(run_id, name, expires_at) for name in names],
    )
    return {each.name: each for each in _named(connection, run_id, names)}


def _named(connection: Connection, run_id: int, names: list[str]) -> list[Awaited]:
    found: list[Awaited] = []
    for places, some in portions(names):
        query = f"SELECT {_COLUMNS} FROM awaited WHERE run_id = ? AND name IN ({places})"
        found += [Awaited(*row) for row in connection.execute(query, (run_id, *some))]
    return found


def _take(connection: Connection, file: Awaited, seen: str, blob: Blob, now: float) -> str | None:
    if not files.is_held(connection, file.run_id):
        return blob.name
    row = connection.execute("SELECT seen FROM awaited WHERE id = ?", (file.id,)).fetchone()
    if row is None or row[0] != file.seen:
        return blob.name
    connection.execute(
        "UPDATE awaited SET seen = ?, taken = CASE WHEN taken < asked THEN taken + 1 ELSE taken END WHERE id = ?",
        (seen, file.id),
    )
    return files.put(connection, file.run_id, file.name, blob, now)
