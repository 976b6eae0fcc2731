"""The writer frames records as the official ones do."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from backhaul.wandblog import LogReader, LogWriter


@pytest.mark.parametrize(
    "name",
    [
        "0.10.33",
        "0.12.21",
        "0.13.11",
        "0.15.12",
        "0.16.6",
        "0.17.9",
        "0.18.7",
        "0.19.11",
        "0.22.3",
        "0.28.2",
        "0.31.0",
        "0.31.0-long",
        "0.31.0-typed",
    ],
)
def test_a_recorded_log_written_again_is_the_same_file(name: str, recorded: Callable[[str], Path]) -> None:
    """The records of a whole log of either engine, framed anew, give the bytes that the SDK wrote."""
    file = io.BytesIO()
    writer = LogWriter(file)
    offsets = [(writer.write(record.data), record.offset) for record in LogReader(recorded(name))]
    assert file.getvalue() == recorded(name).read_bytes()
    assert all(written == read for written, read in offsets)


@pytest.mark.parametrize("name", ["0.12.21-killed", "0.17.9-killed", "0.22.3-killed", "0.28.2-killed", "0.31.0-killed"])
def test_the_records_of_a_killed_log_written_again_are_its_beginning(
    name: str, recorded: Callable[[str], Path]
) -> None:
    """Over more than a block, with records that cross its end."""
    file = io.BytesIO()
    writer = LogWriter(file)
    for record in LogReader(recorded(name)):
        writer.write(record.data)
    assert writer.size > 32768
    assert recorded(name).read_bytes().startswith(file.getvalue())


def test_an_error_of_the_disk_is_passed_on() -> None:
    """A full disk: the caller is told, nothing is swallowed."""

    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        LogWriter(Full())
