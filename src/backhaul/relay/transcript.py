"""A run that a depot holds, told once more as the records of a transaction log.

What the depot holds is what a server was sent: lines, a config, a summary, files, artifacts. The records say the same,
so that whoever reads them sends the same. A pure function of what is held: told again after more has come, the lines
that were there keep their places.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from backhaul.depot.console import parse
from backhaul.depot.model import Alert, Run
from backhaul.wandblog.schema import EnvironmentRecord, HistoryRecord, Record, SummaryRecord

_WRITTEN_BY = "0.31.0+backhaul"
_FILES_A_RECORD = 1000
_STDERR, _STDOUT = 0, 1
_NANOS = 1_000_000_000
_ENDED = frozenset({"finished", "failed", "killed", "preempted"})
_PREEMPTED = frozenset({"preempted", "preempting"})


@dataclass(frozen=True, slots=True)
class Held:
    """What a depot holds of a run. `artifacts` are ArtifactRecords; `state` is the run's state at the time of looking.

    `entity` is where the run belongs at its destination; empty for the destination's default.
    """

    run: Run
    entity: str
    state: str
    history: Iterable[str]
    events: Iterable[str]
    output: Iterable[str]
    files: Sequence[str] = ()
    artifacts: Sequence[Any] = ()
    alerts: Sequence[Alert] = ()

    @property
    def has_ended(self) -> bool:
        """Whether the run's end is known; else its log has no exit record."""
        return self.state in _ENDED


def records(held: Held) -> Iterator[bytes]:
    """The records of the run's log, from its header to, where the run has ended, its exit record."""
    for number, record in enumerate(_messages(held), start=1):
        record.num = number
        yield bytes(record.SerializeToString())


def _messages(held: Held) -> Iterator[Any]:
    events = _Events(held.run, held.events)
    header = Record()
    header.header.version_info.producer = _WRITTEN_BY
    yield header
    yield _run(held, events.start)
    if held.run.program:
        yield Record(environment=EnvironmentRecord(program=held.run.program).SerializeToString())
    yield from map(_history, held.history)
    yield from events
    yield from _console(held.output)
    yield from _files(held.files)
    yield from (Record(artifact=artifact) for artifact in held.artifacts)
    yield from map(_alert, held.alerts)
    yield from _summary(held.run.summary)
    if held.state in _PREEMPTED:
        yield Record(preempting=b"")
    if held.has_ended:
        yield _exit(held)


def _run(held: Held, start: int) -> Any:
    record, run = Record(), held.run
    told = record.run
    told.run_id, told.entity, told.project = run.name, held.entity, run.project.name
    told.display_name, told.notes = run.display_name, run.notes or ""
    told.run_group, told.job_type, told.host = run.group or "", run.job_type or "", run.host or ""
    told.tags.extend(run.tags)
    told.git.remote_url, told.git.commit = run.repo or "", run.commit or ""
    told.start_time.seconds, told.start_time.nanos = divmod(start, _NANOS)
    for key, wrapped in _object(run.config).items():
        value = wrapped.get("value") if isinstance(wrapped, dict) and "value" in wrapped else wrapped
        told.config.update.add(key=key, value_json=_json(value))
    return record


def _history(line: str) -> Any:
    history = HistoryRecord()
    for key, value in _object(line).items():
        history.item.add(nested_key=[key], value_json=_json(value))
    return Record(history=history.SerializeToString())


class _Events:
    """System metrics. `start` (nanoseconds since 1970) is when the run began by their own reckoning.

    A line has its time and the time since the run's start; a record has the time alone, to the nanosecond.
    """

    def __init__(self, run: Run, lines: Iterable[str]) -> None:
        self._rows = map(_object, lines)
        self._first = next(self._rows, None)
        self.start = round(run.created_at * _NANOS)
        if self._first is not None:
            self.start = _nanos(self._first, "_timestamp", self.start) - _nanos(self._first, "_runtime", 0)

    def __iter__(self) -> Iterator[Any]:
        if self._first is not None:
            yield self._record(self._first)
        yield from map(self._record, self._rows)

    def _record(self, row: Mapping[str, Any]) -> Any:
        record = Record()
        moment = self.start + _nanos(row, "_runtime", 0)
        record.stats.timestamp.seconds, record.stats.timestamp.nanos = divmod(moment, _NANOS)
        for key, value in row.items():
            if key not in ("_timestamp", "_runtime", "_wandb"):
                record.stats.item.add(key=key.removeprefix("system."), value_json=_json(value))
        return record


def _nanos(row: Mapping[str, Any], key: str, otherwise: int) -> int:
    value = row.get(key)
    if not isinstance(value, int | float) or not math.isfinite(value):
        return otherwise
    # Whole seconds apart: their product with a billion has more digits than a float.
    return int(value) * _NANOS + round((value - int(value)) * _NANOS)


def _console(lines: Iterable[str]) -> Iterator[Any]:
    """Whole lines. The one type of record that takes them as they are has no time: an empty write tells it."""
    told: str | None = None
    for number, text in enumerate(lines):
        line = parse(number, text)
        record = Record()
        if line.level == "error":
            record.output_raw.output_type = _STDERR
            record.output_raw.line = line.line + "\n"
            _set_time(record.output_raw.timestamp, line.timestamp)
            told = line.timestamp
        else:
            if line.timestamp != told:
                told = line.timestamp
                moment = Record()
                moment.output_raw.output_type = _STDOUT
                _set_time(moment.output_raw.timestamp, told)
                yield moment
            record.output_logger.line = line.line + "\n"
        yield record


def _set_time(timestamp: Any, text: str | None) -> None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return
    timestamp.FromDatetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _files(names: Sequence[str]) -> Iterator[Any]:
    for start in range(0, len(names), _FILES_A_RECORD):
        record = Record()
        for name in names[start : start + _FILES_A_RECORD]:
            record.files.files.add(path=name, policy=1, type=2 if name.startswith("media/") else 0)
        yield record


def _alert(alert: Alert) -> Any:
    record = Record()
    record.alert.title, record.alert.text, record.alert.level = alert.title, alert.text, alert.severity
    return record


def _summary(text: str) -> Iterator[Any]:
    summary = SummaryRecord()
    for key, value in _object(text).items():
        summary.update.add(nested_key=[key], value_json=_json(value))
    if summary.update:
        yield Record(summary=summary.SerializeToString())


def _exit(held: Held) -> Any:
    record = Record()
    # Who ended without a word of his own ended badly.
    otherwise = 0 if held.state == "finished" else 1
    record.exit.exit_code = otherwise if held.run.exit_code is None else held.run.exit_code
    return record


def _object(text: str) -> dict[str, Any]:
    """The JSON object in a line; what is none has no members."""
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
