"""A first look at a run reads its head and its tail, not the whole."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from backhaul.errors import EmptyLog, NotAWandbLog, UnreadableFile
from backhaul.runs.directory import RunDirectory
from backhaul.runs.inspect import inspect
from backhaul.wandblog import LogEnd, LogReader, LogWriter
from backhaul.wandblog.schema import Record

from ...command import RECORDED


def _head() -> list[Record]:
    header, run = Record(num=1), Record(num=2)
    header.header.version_info.producer = "0.31.0+abc"
    run.run.run_id, run.run.project, run.run.display_name = "real-id", "p", "a name"
    run.run.start_time.seconds = 1_700_000_000
    return [header, run]


def _exit() -> Record:
    record = Record(num=9)
    record.exit.exit_code = 3
    return record


def _directory(tmp_path: Path, data: bytes) -> RunDirectory:
    folder = tmp_path / "offline-run-20260101_100000-hint"
    folder.mkdir()
    log = folder / "run-hint.wandb"
    log.write_bytes(data)
    return RunDirectory(folder, log)


def _log(*records: Record) -> bytes:
    file = io.BytesIO()
    writer = LogWriter(file)
    for record in records:
        writer.write(record.SerializeToString())
    return file.getvalue()


def test_identity_comes_from_the_run_record(tmp_path: Path) -> None:
    """Not from the file's name."""
    seen = inspect(_directory(tmp_path, _log(*_head(), _exit())))
    assert (seen.identity.run_id, seen.identity.project, seen.identity.display_name) == ("real-id", "p", "a name")
    assert (seen.producer, seen.has_run_record, seen.end) == ("0.31.0+abc", True, LogEnd.COMPLETE)


@pytest.mark.parametrize(
    "log", sorted(RECORDED.glob("*/offline-run-*/*.wandb")), ids=lambda log: log.parent.parent.name
)
def test_the_first_look_ends_as_the_whole_reading(log: Path) -> None:
    """Of every recorded log, the killed ones too: what head and tail tell is what all records tell."""
    if log.stat().st_size <= 7:
        return
    reader = LogReader(log)
    records = [record for batch in reader.batches() for record in batch]
    seen = inspect(RunDirectory(log.parent, log))
    (run, *_) = (record.content for record in records if record.kind == "run")
    assert (seen.end, seen.identity.run_id, seen.producer) == (reader.end, run.run_id, reader.producer or "")


def test_a_flipped_byte_in_the_exit_record_is_no_exit(tmp_path: Path) -> None:
    """An exit is believed by its checksum, be it the last record or, as of the Python engine, one of the last."""
    summary = Record(num=10, summary=b"\x0a\x05hello")
    for records in ((*_head(), _exit()), (*_head(), _exit(), summary)):
        data = bytearray(_log(*records))
        data[data.index(_exit().SerializeToString()) + 6] ^= 0x01
        home = tmp_path / str(len(records))
        home.mkdir()
        assert inspect(_directory(home, bytes(data))).end is not LogEnd.COMPLETE


def test_without_a_run_record_the_name_is_a_hint(tmp_path: Path) -> None:
    """A log that lost its head."""
    seen = inspect(_directory(tmp_path, _log(_exit())))
    assert (seen.identity.run_id, seen.has_run_record) == ("hint", False)


def test_the_end_is_named(tmp_path: Path) -> None:
    """As the reader names it."""
    directory = _directory(tmp_path, _log(*_head()))
    assert inspect(directory).end is LogEnd.NO_EXIT
    directory.log.write_bytes(_log(*_head(), _exit())[:-1])
    assert inspect(directory).end is LogEnd.TORN
    directory.log.write_bytes(_log(*_head(), _exit()) + b"torn later")
    assert inspect(directory).end is LogEnd.COMPLETE


@pytest.mark.parametrize("data", [b"", b":W&", b":W&B\xe1\xbe\x00"])
def test_a_log_without_a_record_is_told_as_empty(data: bytes, tmp_path: Path) -> None:
    """Nothing of this run reached the disk."""
    with pytest.raises(EmptyLog, match=f"{len(data)} bytes"):
        inspect(_directory(tmp_path, data))


def test_what_is_no_log_or_not_there_is_told(tmp_path: Path) -> None:
    """Each with its own error."""
    with pytest.raises(NotAWandbLog):
        inspect(_directory(tmp_path, b"PK\x03\x04 and more"))
    with pytest.raises(UnreadableFile):
        inspect(RunDirectory(tmp_path, tmp_path / "none.wandb"))


def _bytes_read() -> int:
    """How many bytes this process has read so far, as the kernel counts."""
    return int(Path("/proc/self/io").read_text().split()[1])


def test_a_log_of_two_gigabytes_is_looked_at_in_milliseconds(tmp_path: Path) -> None:
    """Head and tail are real, the two gigabytes between are a hole in the file."""
    directory = _directory(tmp_path, _log(*_head()))
    with directory.log.open("r+b") as file:
        # The tail lies on the block grid, as a writer would put it.
        file.seek((2 << 30) // 32768 * 32768)
        file.write(_log(*[_exit()])[7:])
    assert directory.log.stat().st_size > 2_000_000_000
    before = _bytes_read()
    seen = inspect(directory)
    assert 0 < _bytes_read() - before < 2_000_000
    assert (seen.identity.run_id, seen.end, seen.size) == ("real-id", LogEnd.COMPLETE, directory.log.stat().st_size)
