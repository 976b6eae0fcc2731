"""Stats records → lines of `wandb-events.jsonl` (system metrics)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from backhaul.runs.keytree import encode_key, is_json
from backhaul.wandblog import LogRecord
from backhaul.wandblog.state import State


def seconds(timestamp: Any) -> float:
    """A protobuf Timestamp as Unix seconds."""
    return float(timestamp.seconds + timestamp.nanos / 1e9)


class EventRows:
    """Makes one line of each StatsRecord. `_runtime` counts from the run's start.

    Of a log that does not say when that was, as one that lost its run record, the first metric is the start.
    """

    def __init__(self) -> None:
        self._start: tuple[int, int] | None = None

    def state(self) -> State:
        """What the next line depends on."""
        return {"start": self._start}

    def restore(self, state: State) -> None:
        """Go on from a `state()`."""
        self._start = None if state["start"] is None else (state["start"][0], state["start"][1])

    def take_run(self, run: Any) -> None:
        """Take a RunRecord; the first one that tells the start counts."""
        if self._start is None and run.HasField("start_time"):
            self._start = run.start_time.seconds, run.start_time.nanos

    def line(self, stats: Any) -> str:
        """The line of one StatsRecord. A value that is not JSON is left out."""
        timestamp = stats.timestamp
        start_seconds, start_nanos = self._start = self._start or (timestamp.seconds, timestamp.nanos)
        # Whole nanoseconds, then whole seconds and the rest, as the official engine does: equal to the last digit.
        elapsed = (timestamp.seconds - start_seconds) * 1_000_000_000 + (timestamp.nanos - start_nanos)
        runtime = elapsed // 1_000_000_000 + elapsed % 1_000_000_000 / 1e9
        members = [
            '"_wandb":true',
            f'"_timestamp":{json.dumps(seconds(timestamp))}',
            f'"_runtime":{json.dumps(runtime)}',
        ]
        for item in stats.item:
            if is_json(item.value_json):
                members.append(f"{encode_key('system.' + item.key).decode()}:{item.value_json.decode()}")
        return "{" + ",".join(members) + "}"


def event_lines(records: Iterable[LogRecord]) -> Iterator[str]:
    """The lines of all StatsRecords of a log."""
    rows = EventRows()
    for record in records:
        if record.kind == "run":
            rows.take_run(record.content)
        elif record.kind == "stats":
            yield rows.line(record.content)
