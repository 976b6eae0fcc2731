"""Formats on the disk are told as they are: bytes, tables and lines of the pages are held against real files."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import zlib
from itertools import pairwise
from pathlib import Path

import pytest

from backhaul.bundle.piece import VOLUME_HEAD, Kind, piece_at
from backhaul.depot.place import DATABASE
from backhaul.depot.store import lines
from backhaul.depot.store.sqlite import SqliteDatabase
from backhaul.unattended.queue.opening import open_queue
from tests.command import RECORDED, copy_of

_DOCS = Path(__file__).resolve().parents[2] / "docs"
_Rows = list[tuple[int, bytes, list[str]]]


def _bytes_of(page: str, name: str) -> _Rows:
    """The rows of the page's table of these bytes: where, which, and the cells behind."""
    text = (_DOCS / page).read_text().partition(f"<!-- bytes of: {name} -->\n")[2]
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert table, f"{page} has no bytes of {name}"
    found = []
    for row in table[0].splitlines()[2:]:
        at, told, *more = (cell.strip() for cell in row.strip("|").split("|"))
        found.append((int(at), bytes.fromhex(told.strip("`")), more))
    return found


def _joined(rows: _Rows) -> bytes:
    """The bytes of rows that leave nothing out."""
    for (at, part, _), (behind, _, _) in pairwise(rows):
        assert at + len(part) == behind
    return b"".join(part for _, part, _ in rows)


def test_the_log_of_the_page_is_the_recorded_one() -> None:
    """Each row has the bytes that stand there in a log of the SDK, and the lengths and checksums that it tells."""
    (log,) = RECORDED.glob("0.31.0/offline-run-*/*.wandb")
    data, rows = log.read_bytes(), _bytes_of("internals/wandb-log.md", "the first log")
    assert [data[at : at + len(part)] for at, part, _ in rows] == [part for _, part, _ in rows]
    assert int.from_bytes(data[11:13], "little") == 77 == 91 - 14
    assert f"{zlib.crc32(data[13:91]):#010X}".replace("X", "x") in "".join(rows[3][2])
    assert f"{int.from_bytes(data[91:95], 'little'):#010X}".replace("X", "x") in "".join(rows[13][2])


def test_the_bundle_of_the_page_is_one_and_its_unchanging_bytes_are_those_of_any(tmp_path: Path) -> None:
    """The program reads the header of the page as the page says; a bundle that is made now begins in the same way."""
    rows = _bytes_of("internals/bundle.md", "a bundle")
    told = _joined(rows)
    assert told.startswith(VOLUME_HEAD)
    piece = piece_at(told, len(VOLUME_HEAD))
    assert piece is not None
    assert (piece.kind, piece.volume, piece.member, piece.offset) == (Kind.PART, 1, 0, 0)
    assert (piece.raw_size, piece.size, piece.checksum) == (15872, 4820, 0x215C6027)
    copy_of("0.31.0", tmp_path)
    packing = [sys.executable, "-m", "backhaul", "pack", str(tmp_path / "wandb"), "-o", str(tmp_path / "runs.tar.zst")]
    subprocess.run(packing, env={"HOME": str(tmp_path)}, capture_output=True, check=True)
    data = (tmp_path / "runs.tar.zst").read_bytes()
    fixed = [(at, part) for at, part, more in rows if more[-1] == "yes"]
    assert [(at, data[at : at + len(part)]) for at, part in fixed] == fixed
    assert len(fixed) > 8


def test_the_batch_of_the_page_is_read_as_the_page_says() -> None:
    """Its form, and its two lines."""
    body = _joined(_bytes_of("internals/depot-store.md", "a batch"))
    assert lines.unpack(body) == ['{"_step":0,"loss":0.5}', '{"_step":1,"loss":0.25}']
    assert zlib.decompress(body[1:]).count(b"\n") == 1


def _columns(database: Path) -> dict[str, list[str]]:
    with sqlite3.connect(database) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        own = [name for name in names if not name.startswith("sqlite_")]
        return {name: [row[1] for row in connection.execute(f"PRAGMA table_info({name})")] for name in own}


def test_the_tables_of_the_depot_are_those_of_its_database(tmp_path: Path) -> None:
    """Every table with every column, and none besides."""
    SqliteDatabase(tmp_path / DATABASE).close()
    section = (_DOCS / "internals" / "depot-store.md").read_text().partition("\n## Tables\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section, re.MULTILINE)
    assert {table: re.findall(r"`(\w+)`", columns) for table, columns in rows} == _columns(tmp_path / DATABASE)


def test_the_tables_of_the_queue_are_those_of_its_database(tmp_path: Path) -> None:
    """Every table with every column, in any order, and none besides."""
    open_queue(str(tmp_path / "queue.db")).close()
    section = (_DOCS / "reference" / "queue.md").read_text().partition("\n## Tables\n")[2]
    told: dict[str, set[str]] = {}
    name = ""
    for table, columns in re.findall(r"^\| (?:`(\w+)` )?\| (`[^|]+) \|", section, re.MULTILINE):
        name = table or name
        told.setdefault(name, set()).update(re.findall(r"`(\w+)`", columns))
    assert told == {table: set(columns) for table, columns in _columns(tmp_path / "queue.db").items()}


@pytest.mark.parametrize(
    "line", re.findall(r"^[0-9a-f]{8} \{.*\}$", (_DOCS / "reference/ledger-and-receipt.md").read_text(), re.M)
)
def test_an_entry_of_a_ledger_has_the_checksum_that_the_page_shows(line: str) -> None:
    """Eight digits of CRC-32 over the JSON behind the space."""
    told, _, entry = line.partition(" ")
    assert told == f"{zlib.crc32(entry.encode()):08x}"
