"""One reading of a whole log, in constant memory: all that is known of a run but its rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backhaul.runs.full_disk import tear_note
from backhaul.runs.identity import RunIdentity
from backhaul.runs.rows import Rows
from backhaul.runs.set_aside import SetAside
from backhaul.runs.stream import NUMBERED, Stream
from backhaul.wandblog import Damage, LogEnd, LogReader


@dataclass(frozen=True, slots=True)
class Condition:
    """What a reading of the whole log tells of its state.

    `losses` is the damage that took records inside the log and `lost` their number, None when it cannot be known;
    `damage` also lists a torn tail, the normal end of a killed run. `notes` are sentences on what else to know, also on
    what may be missing behind the last record.
    """

    end: LogEnd
    damage: tuple[Damage, ...]
    losses: tuple[Damage, ...]
    lost: int | None
    notes: tuple[str, ...]

    @classmethod
    def of(cls, reader: LogReader) -> Condition:
        """The condition that `reader` found, when it has come to the end."""
        notes = (*reader.notes, *([tear_note(reader.tear, reader.path)] if reader.tear else []))
        return cls(reader.end, tuple(reader.damage), tuple(reader.losses), reader.lost_records, notes)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the records of a log say together. `lines` counts rows, system metrics and console lines.

    `runtime` is how long the run lasted, in seconds, as far as the log tells.
    """

    identity: RunIdentity
    has_run_record: bool
    config: dict[str, Any]
    summary: dict[str, Any]
    lines: dict[Stream, int]
    exit_code: int | None
    runtime: float | None
    sdk_version: str
    python_version: str
    metadata: dict[str, Any]
    file_names: tuple[str, ...]
    artifacts: tuple[Any, ...]
    by_python_engine: bool
    set_aside: tuple[SetAside, ...]
    condition: Condition


Watch = Callable[[Stream, Sequence[str]], None]


def read_log(log: Path, run_id_hint: str, watch: Watch | None = None) -> Reading:
    """Read `log` once; `watch` is shown the lines of each stream as they are made, some hundred at a time.

    Raises UnreadableFile and NotAWandbLog; damage is told, not raised.
    """
    reader = LogReader(log)
    rows = Rows(RunIdentity(run_id_hint))
    times = _Times()
    for batch in reader.batches():
        rows.take(batch)
        for end in batch.contents_of("exit"):
            times.take_exit(end)
        _clear(rows, times, watch)
    rows.finish()
    _clear(rows, times, watch)
    return _reading(reader, rows, times)


class _Times:
    """How long a run lasted: its exit record says so, else the newest row or metric."""

    def __init__(self) -> None:
        self.exit: float | None = None
        self.newest: float | None = None

    def take_exit(self, end: Any) -> None:
        if self.exit is None and end.runtime:
            self.exit = float(end.runtime)

    def take_line(self, line: str) -> None:
        runtime = json.loads(line).get("_runtime")
        if isinstance(runtime, int | float):
            self.newest = max(self.newest or 0.0, float(runtime))


def _clear(rows: Rows, times: _Times, watch: Watch | None) -> None:
    """Let go of the lines made so far; what is wanted of them is the newest time."""
    for stream in (Stream.HISTORY, Stream.EVENTS):
        if rows.pending[stream].lines:
            times.take_line(rows.pending[stream].lines[-1])
    for stream in NUMBERED:
        _, lines = rows.pending[stream].take()
        if watch is not None and lines:
            watch(stream, lines)
    rows.output_text.clear()


def _reading(reader: LogReader, rows: Rows, times: _Times) -> Reading:
    metadata = rows.environment.metadata_json()
    return Reading(
        identity=rows.identity,
        has_run_record=rows.has_run_record,
        config=_plain_config(rows.config_json()),
        summary=json.loads(rows.summary_json() or "{}"),
        lines={stream: rows.pending[stream].first for stream in NUMBERED},
        exit_code=rows.exit.code if rows.exit else None,
        runtime=times.exit if times.exit is not None else times.newest,
        sdk_version=rows.telemetry.cli_version or (reader.producer or "").partition("+")[0],
        python_version=rows.telemetry.python_version,
        metadata=json.loads(metadata) if metadata else {},
        file_names=tuple(rows.files),
        artifacts=tuple(rows.artifacts),
        by_python_engine=rows.recorded_by_python_engine,
        set_aside=tuple(rows.set_aside),
        condition=Condition.of(reader),
    )


def _plain_config(text: str) -> dict[str, Any]:
    """The user's own part of the config, without the `value` that W&B puts around each."""
    return {key: item["value"] for key, item in json.loads(text).items() if key != "_wandb"}
