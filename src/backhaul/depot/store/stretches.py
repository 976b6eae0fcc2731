"""Stretches as rows. They never overlap, and go as soon as one of their lines changes."""

from __future__ import annotations

from backhaul.depot.model import Stretch, StretchDraft
from backhaul.depot.store.database import Connection, locked


def every(connection: Connection, run_id: int, stream: str) -> list[Stretch]:
    """The stretches of a stream in the order of their lines."""
    rows = connection.execute(
        "SELECT id, first, stop, lowest_step, highest_step FROM stretches"
        " WHERE run_id = ? AND stream = ? ORDER BY first",
        (run_id, stream),
    )
    return [Stretch(*row) for row in rows]


def facts(connection: Connection, stretch_id: int) -> str | None:
    """The facts about the keys of a stretch, or None when it is gone."""
    row = connection.execute("SELECT facts FROM stretches WHERE id = ?", (stretch_id,)).fetchone()
    return row[0] if row else None


def column(connection: Connection, run_id: int, stream: str, key: str) -> dict[int, bytes]:
    """A key's packed columns by the ids of the stretches."""
    rows = connection.execute(
        "SELECT stretches.id, body FROM stretches JOIN stretch_columns ON stretch_id = stretches.id AND key = ?"
        " WHERE run_id = ? AND stream = ?",
        (key, run_id, stream),
    )
    return dict(rows.fetchall())


def put(connection: Connection, run_id: int, stream: str, draft: StretchDraft) -> bool:
    """Keeps a stretch; False when the batches it was made of are no longer all the lines there."""
    locked(connection, "runs", run_id)
    found = connection.execute(
        "SELECT id FROM batches WHERE run_id = ? AND stream = ? AND first >= ? AND first < ? ORDER BY first",
        (run_id, stream, draft.first, draft.stop),
    )
    if [batch_id for (batch_id,) in found] != draft.batches:
        return False
    forget(connection, run_id, stream, draft.first, draft.stop)
    place = (draft.first, draft.stop, draft.lowest_step, draft.highest_step, draft.facts)
    (stretch_id,) = connection.execute(
        "INSERT INTO stretches (run_id, stream, first, stop, lowest_step, highest_step, facts)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (run_id, stream, *place),
    ).fetchone()
    connection.executemany(
        "INSERT INTO stretch_columns (stretch_id, key, body) VALUES (?, ?, ?)",
        [(stretch_id, key, body) for key, body in draft.columns.items()],
    )
    return True


def forget(connection: Connection, run_id: int, stream: str, first: int, stop: int) -> None:
    """Lines from `first` to before `stop` change: what was known of them goes."""
    connection.execute(
        "DELETE FROM stretches WHERE run_id = ? AND stream = ? AND first < ? AND stop > ?",
        (run_id, stream, stop, first),
    )
