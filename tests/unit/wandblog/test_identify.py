"""Files that are called `.wandb` and are something else: each is told what it is."""

from __future__ import annotations

import gzip
import io
import random
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from backhaul.errors import NotAWandbLog
from backhaul.wandblog import LogEnd, LogReader
from backhaul.wandblog.chunk import FULL, chunk

Save = Callable[[bytes], Path]
Find = Callable[[str], Path]


def _refusal(path: Path) -> str:
    with pytest.raises(NotAWandbLog) as refused:
        list(LogReader(path))
    return refused.value.message


def _database(path: Path, tables: int) -> None:
    connection = sqlite3.connect(path)
    for index in range(tables):
        connection.execute(f"CREATE TABLE table_{index} (value)")
        connection.executemany(f"INSERT INTO table_{index} VALUES (?)", [(number,) for number in range(2000)])
    connection.commit()
    connection.close()


def test_an_sqlite_database_is_told_with_its_tables_and_its_health(tmp_path: Path) -> None:
    """Advice on the web takes `.wandb` for SQLite; it is opened without writing a byte."""
    path = tmp_path / "run-x.wandb"
    _database(path, 10)
    before = path.read_bytes()
    message = _refusal(path)
    assert "SQLite database (intact, tables: table_0, table_1, " in message
    assert "and 2 more" in message
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["run-x.wandb"]


def test_an_sqlite_database_without_tables_is_told(tmp_path: Path) -> None:
    """A database that has been made and never filled."""
    path = tmp_path / "run-x.wandb"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 3")
    connection.commit()
    connection.close()
    assert "(intact, without tables)" in _refusal(path)


def test_a_damaged_sqlite_database_is_told_as_damaged(tmp_path: Path) -> None:
    """A page in the middle is overwritten."""
    path = tmp_path / "run-x.wandb"
    _database(path, 2)
    data = bytearray(path.read_bytes())
    data[8192:12288] = b"\xff" * 4096
    path.write_bytes(data)
    assert "SQLite database" in _refusal(path)
    assert "damaged" in _refusal(path)


def test_an_sqlite_header_alone_is_told_as_damaged(saved: Save) -> None:
    """Whatever sqlite3 raises is part of the answer."""
    assert "damaged" in _refusal(saved(b"SQLite format 3\x00" + b"\xff" * 200))


def test_a_zip_archive_is_told(saved: Save) -> None:
    """A run packed up under its log's name."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("run.wandb", "x")
    assert "a zip archive" in _refusal(saved(file.getvalue()))


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        (gzip.compress(b"log", mtime=0), "gzip-compressed data"),
        (b"\x28\xb5\x2f\xfd\x00", "zstandard-compressed data"),
        (b"\xfd7zXZ\x00\x00", "xz-compressed data"),
        (b"BZh91AY", "bzip2-compressed data"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"\xef\xbb\xbf\r\n<!DOCTYPE html><html>", "an HTML page"),
        (b"  <HTML><body>403 Forbidden", "an HTML page"),
        (b' {"a": 1}', "JSON text"),
        (b"[1]", "JSON text"),
        (b"run-x.wandb".ljust(257, b"\x00") + b"ustar\x0000", "a tar archive"),
        (b"\x89PNG\r\n", "a PNG picture"),
        (b"PAR1....", "a Parquet file"),
        (b"\x7fELF\x02", "a program"),
        (bytes(3), "nothing but zero bytes"),
        (bytes(100_000), "nothing but zero bytes"),
        (bytes(600) + b"\x01" + bytes(2 << 20), "begins with zero bytes"),
        (b":W&C\xe1\xbe\x00", "unknown content, it starts with 3a 57 26 43 e1 be 00"),
        (b"hello there", "unknown content, it starts with 68 65 6c 6c 6f 20 74 68."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_everything_else_is_told_by_its_bytes(content: bytes, phrase: str, saved: Save) -> None:
    """Compressed logs, pointers, saved error pages, lost content."""
    message = _refusal(saved(content))
    assert phrase in message
    assert "run-made.wandb is not a W&B log" in message


_FLIPS = [index for index in range(8 * 7) if index // 8 < 6]


@pytest.mark.parametrize("bit", _FLIPS)
def test_a_log_whose_header_has_a_flipped_bit_is_read_in_full(bit: int, recorded: Find, saved: Save) -> None:
    """The official reader refuses it. The header's seven bytes are one damage that cost no record."""
    log = bytearray(recorded("0.31.0").read_bytes())
    whole = [record.data for record in LogReader(saved(log))]
    log[bit // 8] ^= 1 << bit % 8
    reader = LogReader(saved(log))
    assert [record.data for record in reader] == whole
    assert [(damage.offset, damage.length, damage.numbers) for damage in reader.damage] == [(0, 7, range(0))]
    assert (reader.losses, reader.end) == ([], LogEnd.COMPLETE)
    (note,) = reader.notes
    assert "beginning is hurt" in note


@pytest.mark.parametrize("size", [512, 4096, 32768])
@pytest.mark.parametrize("how", ["zeroed", "missing", "overwritten", "behind its neighbour"])
def test_a_log_whose_first_page_is_hurt_gives_all_that_lies_behind(
    how: str, size: int, recorded: Find, saved: Save
) -> None:
    """What was in the page is lost, and counted."""
    log = recorded("0.31.0-long").read_bytes()
    whole = list(LogReader(saved(log)))
    page, rest = log[:size], log[size:]
    hurt = {
        "zeroed": bytes(size) + rest,
        "missing": rest,
        "overwritten": random.Random(size).randbytes(size) + rest,
        "behind its neighbour": rest[:size] + page + rest[size:],
    }
    reader = LogReader(saved(hurt[how]))
    found = {record.data for record in reader}
    assert {record.data for record in whole if record.offset > size} - found <= (
        # A swapped page hurts the record across its other end, too.
        {record.data for record in whole if record.offset < 2 * size} if how == "behind its neighbour" else set()
    )
    assert found <= {record.data for record in whole}
    assert reader.end is LogEnd.COMPLETE
    assert reader.lost_records == len(whole) - len(found) > 0


@pytest.mark.parametrize("size", [300 << 10, 1 << 20])
def test_a_log_behind_many_zeros_gives_all_that_is_left(size: int, recorded: Find, saved: Save) -> None:
    """A disk may lose more of a log's beginning than is looked at at once."""
    log = recorded("0.31.0-long").read_bytes()
    whole = [record.data for record in LogReader(saved(log))]
    reader = LogReader(saved(bytes(size) + log[4096:]))
    found = [record.data for record in reader]
    assert found == whole[-len(found) :]
    assert reader.lost_records == len(whole) - len(found) > 0
    assert reader.damage[0].offset == 0


def test_a_log_inside_another_format_is_not_read_as_a_log(recorded: Find, saved: Save) -> None:
    """An archive is told as one, though the log stands in it byte for byte."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.write(recorded("0.31.0"), "run.wandb")
    assert "a zip archive" in _refusal(saved(file.getvalue()))


def test_a_lonely_checksum_that_holds_does_not_make_a_log(saved: Save) -> None:
    """What stands behind it must be a record, too."""
    assert "unknown content" in _refusal(saved(b"something" + chunk(FULL, b"\xff\xff") + chunk(FULL, b"")))
