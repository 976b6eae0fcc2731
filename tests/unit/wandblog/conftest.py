"""Logs for these tests: recorded ones, and numbered ones made record by record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backhaul.wandblog.schema import HistoryRecord, Record

from ... import framed_log

RECORDED = Path(__file__).parents[2] / "recorded"


@pytest.fixture(scope="session")
def recorded() -> Callable[[str], Path]:
    """The log that an SDK recorded, by the recording's name."""

    def find(name: str) -> Path:
        (log,) = (RECORDED / name).glob("*/*.wandb")
        return log

    return find


def _history(number: int, text: str) -> bytes:
    row = HistoryRecord()
    for key, value in (("_step", str(number)), ("text", f'"{text}"')):
        item = row.item.add()
        item.nested_key.append(key)
        item.value_json = value.encode()
    return bytes(Record(num=number, history=row.SerializeToString()).SerializeToString())


@pytest.fixture(scope="session")
def record() -> Callable[..., bytes]:
    """A record's bytes: `record(5, "text")` a row; also `record(1, header="0.31.0")`, `run="id"`, `exit=0`."""

    def make(
        number: int, text: str = "", *, header: str | None = None, run: str | None = None, exit: int | None = None
    ) -> bytes:
        if run is not None:
            message = Record(num=number)
            message.run.run_id = run
            return bytes(message.SerializeToString())
        if header is not None:
            message = Record(num=number)
            message.header.version_info.producer = header
            message.header.SetInParent()
            return bytes(message.SerializeToString())
        if exit is not None:
            message = Record(num=number)
            message.exit.exit_code = exit
            message.exit.SetInParent()
            return bytes(message.SerializeToString())
        return _history(number, text)

    return make


@pytest.fixture(scope="session")
def framed() -> Callable[..., bytes]:
    """A whole log of the given records' bytes."""
    return lambda *records: bytes(framed_log.framed(*records))


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[Any], Path]:
    """Puts a log's bytes into a file."""

    def save(data: bytes) -> Path:
        path = tmp_path / "run-made.wandb"
        path.write_bytes(data)
        return path

    return save
