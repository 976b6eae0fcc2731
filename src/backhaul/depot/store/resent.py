"""Lines that come a second time under new numbers.

The official engine numbers the history of a session from the `historyLineCount` that it is told when it opens the
run. So a log that is synced again arrives once more behind its own lines. A row carries its step and the moment of
logging, so that two equal rows are the same row: the second is left out, and its number stays a hole. Equal in what
they say, not in their text: the engine writes the keys in any order.
"""

from __future__ import annotations

import json
import math

from backhaul.depot import rows
from backhaul.depot.model import HISTORY, Batch, Stretch
from backhaul.depot.store import lines, streams, stretches
from backhaul.depot.store.database import Connection
from backhaul.depot.stretches import parts

_STAMP = '"_timestamp"'  # without it, two equal rows may be two rows
_UNSAID = -(1 << 62)  # no step

Span = tuple[float, float]


def reopened(connection: Connection, run_id: int) -> None:
    """A client was told how many lines there are: what it now sends behind them may be there already."""
    stop = streams.end(connection, run_id, HISTORY)
    if stop:
        connection.execute("UPDATE runs SET reopened_at_line = ? WHERE id = ?", (stop, run_id))


def without_known(connection: Connection, run_id: int, since: int, batches: list[Batch]) -> list[Batch]:
    """The batches of a run's history without rows that it has below line `since`, at which it was opened again."""
    behind = [(batch, lines.unpack(batch.body)) for batch in batches if batch.first >= since]
    if not behind:
        return batches
    newest = _newest_step(connection, run_id, since)
    kept = [batch for batch in batches if batch.first < since]
    doubtful = []
    for batch, content in behind:
        if rows.step_of(content[0], batch.first) > newest:  # steps only grow: nothing from here on is a repetition
            connection.execute("UPDATE runs SET reopened_at_line = NULL WHERE id = ?", (run_id,))
            kept.append(batch)
        else:
            doubtful.append((batch.first, content))
    known = _known(connection, run_id, since, _span([line for _, content in doubtful for line in content]))
    for first, content in doubtful:
        fresh = [None if _STAMP in line and _meaning(line) in known else line for line in content]
        kept.extend(lines.pack(first, fresh))
    return kept


def _span(content: list[str]) -> Span | None:
    """The lowest and the highest step of the rows; None for no rows, everything when one does not say its step."""
    steps = [rows.step_of(line, _UNSAID) for line in content]
    if _UNSAID in steps:
        return -math.inf, math.inf
    return (min(steps), max(steps)) if steps else None


def _newest_step(connection: Connection, run_id: int, since: int) -> int:
    """The step of the last row before line `since`."""
    before = [ref for ref in streams.refs(connection, run_id, HISTORY) if ref.first < since]
    body = streams.body(connection, before[-1].id) if before else None
    if body is None:
        return -1
    content = lines.unpack(body)[: since - before[-1].first]
    return rows.step_of(content[-1], since)


def _known(connection: Connection, run_id: int, since: int, span: Span | None) -> set[int]:
    """The rows before line `since` with steps in that span, by the hash of their meaning: eight bytes a row.

    A row that is equal has the same step. So most rows are passed over: by stretch where there is one, else by step.
    """
    found: set[int] = set()
    refs = [ref for ref in streams.refs(connection, run_id, HISTORY) if ref.first < since] if span else []
    for part in parts(stretches.every(connection, run_id, HISTORY), refs):
        if span and not (part.stretch and _apart(part.stretch, span)):
            for ref in part.refs:
                body = streams.body(connection, ref.id)
                content = (lines.unpack(body) if body else [])[: since - ref.first]
                found.update(_meaning(line) for line in content if span[0] <= rows.step_of(line, 0) <= span[1])
    return found


def _apart(stretch: Stretch, span: Span) -> bool:
    return stretch.highest_step < span[0] or stretch.lowest_step > span[1]


def _meaning(line: str) -> int:
    """A number that is equal for rows that say the same."""
    row = rows.parse(line)
    return hash(json.dumps(row, sort_keys=True) if row else line)
