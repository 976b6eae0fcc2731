"""Streams of numbered lines, kept as batches that never overlap.

Nearly every write starts where the stream ends, and is one INSERT. A write into lines that exist first makes room:
batches that it covers go, those that it touches are cut and written again.
"""

from __future__ import annotations

from collections.abc import Iterator

from backhaul.depot.model import EVENTS, HISTORY, OUTPUT, Batch, BatchRef, LineCounts
from backhaul.depot.store import lines, stretches
from backhaul.depot.store.database import Connection, locked

_HIGHEST = (1 << 63) - 1  # that a line number may be in the table


def put(connection: Connection, run_id: int, stream: str, batches: list[Batch]) -> None:
    """Stores the batches; lines that exist under the same numbers are replaced."""
    for batch in batches:
        before = _last(connection, run_id, stream)
        if before and batch.first < before.first + before.count:
            stretches.forget(connection, run_id, stream, batch.first, batch.end)
            _make_room(connection, run_id, stream, batch.first, batch.end)
            before = _last(connection, run_id, stream, batch.first)
        _insert(connection, run_id, stream, _joined(connection, run_id, stream, before, batch))


def end(connection: Connection, run_id: int, stream: str) -> int:
    """The highest line number plus one; 0 for a stream without lines."""
    last = _last(connection, run_id, stream)
    return last.first + last.count if last else 0


def _last(connection: Connection, run_id: int, stream: str, before: int = _HIGHEST) -> BatchRef | None:
    """The last batch of the stream, or the last that begins before that line."""
    row = connection.execute(
        "SELECT id, first, count, size FROM batches WHERE run_id = ? AND stream = ? AND first < ?"
        " ORDER BY first DESC LIMIT 1",
        (run_id, stream, before),
    ).fetchone()
    return BatchRef(*row) if row else None


def grows(connection: Connection, run_id: int, batches: dict[str, list[Batch]]) -> bool:
    """Whether these bring lines beyond the ends of their streams."""
    return any(
        max((batch.end for batch in found), default=0) > end(connection, run_id, stream)
        for stream, found in batches.items()
    )


def counts(connection: Connection, run_id: int) -> LineCounts:
    """How far the streams reach; of a fork, what it has beside its parent's lines."""
    return LineCounts(*(max(0, end(connection, run_id, stream)) for stream in (HISTORY, EVENTS, OUTPUT)))


def truncate(connection: Connection, run_id: int, stream: str, stop: int) -> None:
    """Forgets the lines from number `stop` on."""
    locked(connection, "runs", run_id)
    last = end(connection, run_id, stream)
    stretches.forget(connection, run_id, stream, stop, last)
    _make_room(connection, run_id, stream, stop, last)


def inherit(connection: Connection, run_id: int, parent_id: int, stop: int) -> None:
    """Gives a run without history that of its parent up to before line `stop`, under numbers below 0.

    So the run's own lines begin at 0, as every client numbers them, and all lines are read in one order.
    """
    locked(connection, "runs", run_id)
    if refs(connection, run_id, HISTORY):
        return
    connection.execute(
        "INSERT INTO batches (run_id, stream, first, count, size, body)"
        " SELECT ?, stream, first - ?, count, size, body FROM batches WHERE run_id = ? AND stream = ? AND first < ?",
        (run_id, stop, parent_id, HISTORY, stop),
    )
    truncate(connection, run_id, HISTORY, 0)


def refs(connection: Connection, run_id: int, stream: str) -> list[BatchRef]:
    """The stream's batches in the order of their lines."""
    rows = connection.execute(
        "SELECT id, first, count, size FROM batches WHERE run_id = ? AND stream = ? ORDER BY first", (run_id, stream)
    )
    return [BatchRef(*row) for row in rows]


def body(connection: Connection, batch_id: int) -> bytes | None:
    """The compressed lines of a batch, or None when it was replaced."""
    row = connection.execute("SELECT body FROM batches WHERE id = ?", (batch_id,)).fetchone()
    return row[0] if row else None


def _touching(connection: Connection, run_id: int, stream: str, first: int, stop: int) -> Iterator[tuple[int, Batch]]:
    rows = connection.execute(
        "SELECT id, first, count, size, body FROM batches WHERE run_id = ? AND stream = ?"
        " AND first > ? AND first < ? AND first + count > ?",
        (run_id, stream, first - lines.LONGEST_BATCH, stop, first),
    ).fetchall()
    return ((batch_id, Batch(*rest)) for batch_id, *rest in rows)


def _make_room(connection: Connection, run_id: int, stream: str, first: int, stop: int) -> None:
    for batch_id, batch in _touching(connection, run_id, stream, first, stop):
        connection.execute("DELETE FROM batches WHERE id = ?", (batch_id,))
        if batch.first >= first and batch.end <= stop:
            continue
        kept = lines.unpack(batch.body)
        before = lines.pack(batch.first, kept[: max(0, first - batch.first)])
        after = lines.pack(stop, kept[stop - batch.first :]) if batch.end > stop else []
        for piece in before + after:
            _insert(connection, run_id, stream, piece)


def _joined(connection: Connection, run_id: int, stream: str, before: BatchRef | None, batch: Batch) -> Batch:
    """The batch together with the small one right before it, which then goes; or the batch alone."""
    if before is None or not _fits(before, batch):
        return batch
    kept = body(connection, before.id) or b""
    connection.execute("DELETE FROM batches WHERE id = ?", (before.id,))
    stretches.forget(connection, run_id, stream, before.first, batch.first)
    (joined,) = lines.pack(before.first, lines.unpack(kept) + lines.unpack(batch.body))
    return joined


def _fits(before: BatchRef, batch: Batch) -> bool:
    """Whether the batch goes on where the one before ends, and both together are still small."""
    small = before.size + batch.size <= lines.JOIN_BELOW and before.count + batch.count <= lines.LONGEST_BATCH
    return small and before.first + before.count == batch.first


def _insert(connection: Connection, run_id: int, stream: str, batch: Batch) -> None:
    connection.execute(
        "INSERT INTO batches (run_id, stream, first, count, size, body) VALUES (?, ?, ?, ?, ?, ?)",
        (run_id, stream, batch.first, batch.count, batch.size, batch.body),
    )
