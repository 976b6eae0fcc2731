"""Lines that come a second time under new numbers.

The official engine numbers the history of a session from the `historyLineCount` that it is told when it opens the
run. So a log that is synced again arrives once more behind its own lines. A row carries its step and the moment of
logging, so that two equal rows are the same row: the second is left out, and its number stays a hole. Equal in what
they say, not in their text: the engine writes the keys in any order.
"""

from __future__ import annotations

import json
import sqlite3

from backhaul.depot import rows
from backhaul.depot.model import HISTORY, Batch
from backhaul.depot.store import lines, streams

_STAMP = '"_timestamp"'  # without it, two equal rows may be two rows


def reopened(connection: sqlite3.Connection, run_id: int) -> None:
    """A client was told how many lines there are: what it now sends behind them may be there already."""
    stop = streams.end(connection, run_id, HISTORY)
    if stop:
        connection.execute("UPDATE runs SET reopened_at_line = ? WHERE id = ?", (stop, run_id))


def without_known(connection: sqlite3.Connection, run_id: int, since: int, batches: list[Batch]) -> list[Batch]:
    """The batches of a run's history without rows that it has below line `since`, at which it was opened again."""
    if all(batch.first < since for batch in batches):
        return batches
    newest = _newest_step(connection, run_id, since)
    known: set[int] = set()
    kept: list[Batch] = []
    for batch in batches:
        content = lines.unpack(batch.body)
        if batch.first < since:
            kept.append(batch)
        elif rows.step_of(content[0], batch.first) > newest:  # steps only grow: nothing from here on is a repetition
            connection.execute("UPDATE runs SET reopened_at_line = NULL WHERE id = ?", (run_id,))
            kept.append(batch)
        else:
            known = known or _known(connection, run_id, since)
            fresh = [None if _STAMP in line and _meaning(line) in known else line for line in content]
            kept.extend(lines.pack(batch.first, fresh))
    return kept


def _newest_step(connection: sqlite3.Connection, run_id: int, since: int) -> int:
    """The step of the last row before line `since`."""
    before = [ref for ref in streams.refs(connection, run_id, HISTORY) if ref.first < since]
    body = streams.body(connection, before[-1].id) if before else None
    if body is None:
        return -1
    content = lines.unpack(body)[: since - before[-1].first]
    return rows.step_of(content[-1], since)


def _known(connection: sqlite3.Connection, run_id: int, since: int) -> set[int]:
    """The rows before line `since`, by the hash of their meaning: eight bytes a row instead of all of them."""
    found: set[int] = set()
    for ref in streams.refs(connection, run_id, HISTORY):
        body = streams.body(connection, ref.id) if ref.first < since else None
        found.update(_meaning(line) for line in (lines.unpack(body) if body else ())[: since - ref.first])
    return found


def _meaning(line: str) -> int:
    """A number that is equal for rows that say the same."""
    row = rows.parse(line)
    return hash(json.dumps(row, sort_keys=True) if row else line)
