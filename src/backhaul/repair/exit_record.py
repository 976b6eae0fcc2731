"""The exit record that a killed run has not."""

from __future__ import annotations

import json

from backhaul.repair.survey import Survey
from backhaul.runs.history import HistoryRows
from backhaul.wandblog.schema import Record


def exit_record(found: Survey, code: int) -> bytes:
    """An exit record with this code, numbered after the last one; its runtime is that of the newest row or metric."""
    record = Record(num=found.last_number + 1 if found.last_number else 0)
    record.exit.exit_code = code
    record.exit.runtime = int(max(_runtime_of_history(found), _runtime_of_stats(found), 0))
    return bytes(record.SerializeToString())


def _runtime_of_history(found: Survey) -> float:
    line = HistoryRows().line(found.last_history) if found.last_history else None
    runtime = json.loads(line).get("_runtime") if line else None
    return float(runtime) if isinstance(runtime, int | float) and runtime < 1 << 31 else 0.0


def _runtime_of_stats(found: Survey) -> float:
    if found.last_stats is None or found.run is None or not found.run.message.run.HasField("start_time"):
        return 0.0
    return float(found.last_stats.message.stats.timestamp.seconds - found.run.message.run.start_time.seconds)
