"""Records that a killed run has not: the exit record, and the summary that the Python engine writes last."""

from __future__ import annotations

import json
from pathlib import Path

from backhaul.repair.survey import Survey
from backhaul.runs.history import HistoryRows
from backhaul.runs.reading import read_log
from backhaul.wandblog.schema import Record, SummaryRecord


def exit_record(found: Survey, code: int) -> bytes:
    """An exit record with this code, numbered after the last one; its runtime is that of the newest row or metric."""
    record = Record(num=_next_number(found))
    record.exit.exit_code = code
    record.exit.runtime = int(max(_runtime_of_history(found), _runtime_of_stats(found), 0))
    return bytes(record.SerializeToString())


def summary_record(found: Survey, log: Path) -> bytes:
    """The summary that the history of `log` comes to, as `define_metric` wants it, numbered after the last record."""
    summary = SummaryRecord()
    for key, value in read_log(log, "").summary.items():
        summary.update.add(key=key, value_json=json.dumps(value, ensure_ascii=False).encode())
    return bytes(Record(num=_next_number(found), summary=summary.SerializeToString()).SerializeToString())


def _next_number(found: Survey) -> int:
    """Records of SDKs before 0.13 have no number."""
    if not found.last_number:
        return 0
    found.last_number += 1
    return found.last_number


def _runtime_of_history(found: Survey) -> float:
    line = HistoryRows().line(found.last_history) if found.last_history else None
    runtime = json.loads(line).get("_runtime") if line else None
    return float(runtime) if isinstance(runtime, int | float) and runtime < 1 << 31 else 0.0


def _runtime_of_stats(found: Survey) -> float:
    if found.last_stats is None or found.run is None or not found.run.content.HasField("start_time"):
        return 0.0
    return float(found.last_stats.content.timestamp.seconds - found.run.content.start_time.seconds)
