"""`backhaul export` as a process, read back by other libraries than ours."""

from __future__ import annotations

import csv
import io
import json
import math
import signal
from pathlib import Path
from typing import Any

import pandas
import pyarrow.ipc
import pyarrow.parquet
import pytest

from ..command import RECORDED, Backhaul, copy_of, log_of


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with every kind of value."""
    return copy_of("0.31.0", tmp_path)


def _logged() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((RECORDED / "0.31.0" / "expected.json").read_text())["rows"]
    return rows


def _losses() -> list[tuple[int, float]]:
    return [(row["step"], row["metrics"]["loss"]) for row in _logged() if "loss" in row["metrics"]]


def test_json_lines_are_the_rows_as_they_were_logged(backhaul: Backhaul, run: Path, tmp_path: Path) -> None:
    """Nested, with NaN and infinities, and every key."""
    target = tmp_path / "rows.jsonl"
    assert backhaul("export", run, "-o", target).exit_code == 0
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert len(rows) == len(_logged())
    for row, logged in zip(rows, _logged(), strict=True):
        assert row["_step"] == logged["step"]
        for key, value in logged["metrics"].items():
            same = math.isnan(row[key]) if isinstance(value, float) and math.isnan(value) else row[key] == value
            assert same, (key, row[key], value)


def test_csv_is_read_by_pandas(backhaul: Backhaul, run: Path, tmp_path: Path) -> None:
    """One row each under one header; odd numbers come back, nested keys have dots."""
    target = tmp_path / "rows.csv"
    assert backhaul("export", run, "-o", target).exit_code == 0
    frame = pandas.read_csv(target, keep_default_na=False, na_values={"loss": ""})
    assert list(frame["_step"]) == [row["step"] for row in _logged()]
    assert [pair for pair in zip(frame["_step"], frame["loss"], strict=True) if pair[1] == pair[1]] == _losses()
    row = frame[frame["_step"] == 3].iloc[0]
    assert (row["inf"], row["minus_inf"], row["nan"]) == ("Infinity", "-Infinity", "NaN")
    assert float(row["inf"]) == math.inf
    assert set(frame["nested.b.d"]) == {"", "deep"}
    assert frame["text"][6] == 'grüße\n"quoted" ☃ \\'


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_parquet_and_arrow_keep_the_kinds(backhaul: Backhaul, run: Path, tmp_path: Path, form: str) -> None:
    """Whole numbers, doubles, truth values, texts; null where nothing was logged."""
    target = tmp_path / f"rows.{form}"
    assert backhaul("export", run, "-o", target).exit_code == 0
    table = pyarrow.parquet.read_table(target) if form == "parquet" else pyarrow.ipc.open_file(target).read_all()
    kinds = {field.name: str(field.type) for field in table.schema}
    wanted = {
        "_step": "int64",
        "loss": "double",
        "flag": "bool",
        "text": "string",
        "list": "string",
    }
    assert wanted.items() <= kinds.items()
    pairs = zip(table.column("_step").to_pylist(), table.column("loss").to_pylist(), strict=True)
    assert [pair for pair in pairs if pair[1] is not None] == _losses()
    assert math.isnan(table.column("nan").to_pylist()[3])


def test_system_metrics_and_console_are_exported_as_well(backhaul: Backhaul, run: Path) -> None:
    """Each as rows of its own; - is standard output."""
    events = backhaul("export", run, "--what", "events", "--format", "jsonl", "-o", "-")
    parsed = [json.loads(line) for line in events.stdout.splitlines()]
    assert parsed
    assert all("_timestamp" in row and any(key.startswith("system.") for key in row) for row in parsed)
    console = backhaul("export", run, "--what", "console", "--format", "csv", "-o", "-")
    lines = list(csv.DictReader(io.StringIO(console.stdout)))
    assert [line["text"] for line in lines if line["stream"] == "stdout"][-1] == "done"
    assert {line["stream"] for line in lines} == {"stdout", "stderr"}


def test_a_file_that_exists_is_replaced_only_when_told(backhaul: Backhaul, run: Path, tmp_path: Path) -> None:
    """Exit code 2 without --force."""
    target = tmp_path / "rows.csv"
    target.write_text("mine")
    refused = backhaul("export", run, "-o", target)
    assert (refused.exit_code, target.read_text()) == (2, "mine")
    assert "--force" in refused.stderr
    assert backhaul("export", run, "-o", target, "--force").exit_code == 0
    assert target.read_text().startswith("_step,")


def test_a_name_without_a_known_ending_is_wrong_usage(backhaul: Backhaul, run: Path, tmp_path: Path) -> None:
    """And nothing is written."""
    done = backhaul("export", run, "-o", tmp_path / "rows.xlsx")
    assert (done.exit_code, ".parquet" in done.stderr) == (2, True)
    assert not (tmp_path / "rows.xlsx").exists()


def test_the_exit_code_tells_lost_records(backhaul: Backhaul, tmp_path: Path) -> None:
    """The file holds every row that can be read; exit code 9 says that there were more."""
    path = copy_of("0.31.0-long", tmp_path)
    log = log_of(path)
    data = bytearray(log.read_bytes())
    data[40_000] ^= 0xFF
    log.write_bytes(data)
    target = tmp_path / "rows.jsonl"
    done = backhaul("export", path, "-o", target)
    assert (done.exit_code, "destroyed" in done.stderr) == (9, True)
    assert len(target.read_text().splitlines()) >= 80


def test_an_export_that_fails_leaves_no_file(backhaul: Backhaul, run: Path, tmp_path: Path) -> None:
    """A limit on file sizes stands for a full disk."""
    target = tmp_path / "out" / "rows.jsonl"
    target.parent.mkdir()
    done = backhaul("export", run, "-o", target, prefix=("prlimit", "--fsize=500"))
    assert done.exit_code == 2
    assert list(target.parent.iterdir()) == []


def test_an_empty_run_gives_an_empty_table(backhaul: Backhaul, tmp_path: Path) -> None:
    """No rows and no columns are no error in any format."""
    path = copy_of("header-only", tmp_path)
    for form in ("csv", "jsonl", "parquet", "arrow"):
        assert backhaul("export", path, "-o", tmp_path / f"rows.{form}").exit_code == 0
    assert pyarrow.parquet.read_table(tmp_path / "rows.parquet").num_rows == 0


@pytest.mark.parametrize("command", [("export", "-o", "-", "--format", "jsonl"), ("show",)])
def test_a_reader_that_goes_away_ends_the_command_quietly(
    command: tuple[str, ...], backhaul: Backhaul, run: Path
) -> None:
    """As `| head` does to `cat`: nothing is printed, and it is no error of ours."""
    with backhaul.start(command[0], run, *command[1:]) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert (process.stderr.read(), process.wait(60)) == ("", -signal.SIGPIPE)
