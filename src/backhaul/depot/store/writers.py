"""Runs into which several processes write at once (`mode="shared"` of the SDK).

Each of them numbers its own lines from wherever it began, and shows an id of its own. So its lines go behind those that
are there, in the order in which they come. How far each has come is kept as a stream of its own, of empty lines: what
comes a second time is known by its numbers, and left out. Each brings the summary of what it logged itself; together
they are the run's.
"""

from __future__ import annotations

import json
from dataclasses import replace

from backhaul.depot import rows
from backhaul.depot.model import Batch, Delivery
from backhaul.depot.store import lines, runs, streams
from backhaul.depot.store.database import Connection


def arranged(connection: Connection, run_id: int, delivery: Delivery) -> Delivery:
    """The delivery of one of several writers as that of the run; nobody else writes to the run meanwhile."""
    if delivery.writer is None:
        return delivery
    batches = {
        stream: _behind(connection, run_id, stream, f"{delivery.writer}/{stream}", found)
        for stream, found in delivery.batches.items()
    }
    return replace(delivery, batches=batches, summary=_together(connection, run_id, delivery.summary))


def _behind(connection: Connection, run_id: int, stream: str, own: str, batches: list[Batch]) -> list[Batch]:
    """What is new of the writer's lines, under numbers behind those of the run."""
    place, known = streams.end(connection, run_id, stream), streams.end(connection, run_id, own)
    found: list[Batch] = []
    for batch in batches:
        fresh = lines.unpack(batch.body)[max(0, known - batch.first) :]
        if fresh:
            streams.put(connection, run_id, own, lines.pack(batch.end - len(fresh), [""] * len(fresh)))
            found += lines.pack(place, fresh)
            place, known = place + len(fresh), batch.end
    return found


def _together(connection: Connection, run_id: int, summary: str | None) -> str | None:
    if summary is None:
        return None
    return json.dumps(rows.parse(runs.get(connection, run_id).summary) | rows.parse(summary))
