"""Logs made of the records that a test names, and copies of real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from backhaul.runs.directory import RunDirectory
from backhaul.wandblog.schema import HistoryRecord, Record
from backhaul.wandblog.writer import LogWriter

NAME = "offline-run-20260102_030405-abc"
MakeRun = Callable[[Iterable[bytes]], RunDirectory]


def record(number: int, **content: Any) -> bytes:
    """The bytes of one record; keyword arguments are its fields."""
    return bytes(Record(num=number, **content).SerializeToString())


def head() -> list[bytes]:
    """The two records that every log begins with."""
    return [
        record(1, header={"version_info": {"producer": "0.31.0"}}),
        record(2, run={"run_id": "abc", "project": "p", "tags": ["t"], "start_time": {"seconds": 1_700_000_000}}),
    ]


def row(number: int, step: int) -> bytes:
    """A history record with one metric, x, which is the step, and a runtime of ten seconds a step."""
    message = HistoryRecord()
    message.item.add(nested_key=["x"], value_json=str(step).encode())
    message.item.add(nested_key=["_step"], value_json=str(step).encode())
    message.item.add(nested_key=["_runtime"], value_json=str(step * 10).encode())
    return record(number, history=message.SerializeToString())


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Writes a run directory whose log holds these records."""

    def make(records: Iterable[bytes]) -> RunDirectory:
        folder = tmp_path / "wandb" / NAME
        (folder / "files").mkdir(parents=True)
        log = folder / "run-abc.wandb"
        with log.open("wb") as file:
            writer = LogWriter(file)
            for each in records:
                writer.write(each)
        return RunDirectory(folder, log)

    return make
