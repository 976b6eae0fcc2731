"""The rows of a run as a file that other programs read."""

from __future__ import annotations

import csv
import importlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

from backhaul.runs.console import OutputLine
from backhaul.runs.frames import arrow_batches, arrow_schema
from backhaul.runs.local_run import LocalRun
from backhaul.runs.table import cells, columns_of


class Format(StrEnum):
    """The file formats, by the ending of the file's name."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"
    ARROW = "arrow"


class What(StrEnum):
    """Which of a run's rows."""

    HISTORY = "history"
    EVENTS = "events"
    CONSOLE = "console"


_ALSO = {Format.JSONL: ("ndjson",), Format.PARQUET: ("pq",), Format.ARROW: ("feather",)}


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows that can be read more than once: `lines` as JSON, `rows` as dicts."""

    lines: Callable[[], Iterator[str]]
    rows: Callable[[], Iterator[Mapping[str, Any]]]


def export_rows(run: LocalRun, what: What, form: Format, file: BinaryIO) -> int:
    """Write the rows to `file`, and return how many. Memory is constant: columns are found in a first reading.

    JSON Lines are the rows as they are, nested, with the bare words NaN, Infinity and -Infinity that W&B writes. In the
    table formats nested keys are named with dots; a column of several kinds, or of dicts or lists, holds JSON text.
    Raises what reading raises, and ConfigurationError when Parquet or Arrow are asked for without pyarrow.
    """
    rows = _rows(run, what)
    match form:
        case Format.JSONL:
            return sum(file.write(line.encode() + b"\n") > 0 for line in rows.lines())
        case Format.CSV:
            return _write_csv(rows, file)
        case Format.PARQUET | Format.ARROW:
            return _write_arrow(rows, form, file)


def _rows(run: LocalRun, what: What) -> _Rows:
    match what:
        case What.HISTORY:
            return _Rows(run.history_lines, run.history)
        case What.EVENTS:
            return _Rows(run.event_lines, run.events)
        case What.CONSOLE:
            return _Rows(
                lambda: (json.dumps(_console_row(line), ensure_ascii=False) for line in run.console()),
                lambda: map(_console_row, run.console()),
            )


def _console_row(line: OutputLine) -> dict[str, Any]:
    return {"time": line.time.isoformat(), "stream": line.stream, "text": line.text}


def _write_csv(rows: _Rows, file: BinaryIO) -> int:
    columns = columns_of(rows.rows())
    count = 0
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=False)
    try:
        writer = csv.writer(text)
        writer.writerow([column.name for column in columns])
        for row in rows.rows():
            count += 1
            writer.writerow([_csv_cell(value) for value in cells(row, columns)])
    finally:
        text.flush()
        # The file is its giver's to close.
        text.detach()
    return count


def _csv_cell(value: Any) -> Any:
    """Numbers and truth values as in JSON, so that NaN and infinities come back from it; texts as they are."""
    return json.dumps(value) if isinstance(value, bool | int | float) else value


def _write_arrow(rows: _Rows, form: Format, file: BinaryIO) -> int:
    columns = columns_of(rows.rows())
    schema = arrow_schema(columns)
    if form is Format.ARROW:
        writer = importlib.import_module("pyarrow.ipc").new_file(file, schema)
    else:
        writer = importlib.import_module("pyarrow.parquet").ParquetWriter(file, schema, compression="zstd")
    count = 0
    with writer:
        for batch in arrow_batches(rows.rows(), columns):
            writer.write_batch(batch)
            count += batch.num_rows
    return count


def format_of(path: Path) -> Format | None:
    """The format that a file's name asks for; None when it asks for none of ours."""
    ending = path.suffix.removeprefix(".").lower()
    return next((form for form in Format if ending in (form.value, *_ALSO.get(form, ()))), None)
