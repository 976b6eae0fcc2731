"""Stats records → lines of `wandb-events.jsonl` (system metrics)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from backhaul.runs.keytree import encode_key, is_json
from backhaul.wandblog import LogRecord


def seconds(timestamp: Any) -> float:
    """A protobuf Timestamp as Unix seconds."""
    return float(timestamp.seconds + timestamp.nanos / 1e9)


def event_lines(records: Iterable[LogRecord]) -> Iterator[str]:
    """The lines of all StatsRecords of a log; of one that lost its run record the first metric is the start."""
    start: tuple[int, int] | None = None
    for record in records:
        if start is None and record.kind == "run" and record.content.HasField("start_time"):
            start = record.content.start_time.seconds, record.content.start_time.nanos
        elif record.kind == "stats":
            start = start or (record.content.timestamp.seconds, record.content.timestamp.nanos)
            yield event_line(record.content, *start)


def event_line(stats: Any, start_seconds: int, start_nanos: int) -> str:
    """The line of one StatsRecord. `_runtime` counts from the run's start, given in Unix seconds and nanoseconds.

    A value that is not JSON is left out.
    """
    timestamp = stats.timestamp
    # Whole nanoseconds first, then whole seconds and the rest, as the official engine does: equal to the last digit.
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
