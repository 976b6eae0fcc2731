"""What a file is, by its bytes, for those that are named like a W&B log and are not one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

from backhaul.errors import NotAWandbLog
from backhaul.wandblog.chunk import BLOCK_SIZE, FILE_HEADER, FILE_MAGIC
from backhaul.wandblog.framing import Framing
from backhaul.wandblog.record import decoded

_SQLITE = b"SQLite format 3\x00"
_LFS = b"version https://git-lfs"
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (_LFS, "a git-LFS pointer (the content was never downloaded: `git lfs pull`)"),
    (b"\x1f\x8b", "gzip-compressed data (unpack it: `gunzip`)"),
    (b"PK\x03\x04", "a zip archive (unpack it: `unzip`)"),
    (b"\x28\xb5\x2f\xfd", "zstandard-compressed data (unpack it: `unzstd`)"),
    (b"\xfd7zXZ\x00", "xz-compressed data (unpack it: `unxz`)"),
    (b"BZh", "bzip2-compressed data (unpack it: `bunzip2`)"),
    (b"\x89PNG", "a PNG picture"),
    (b"PAR1", "a Parquet file"),
    (b"\x7fELF", "a program"),
)
_HTML = (b"<!doctype html", b"<html")
_MOST_TABLES = 8
# A page of a disk or file system, or several, may be gone from a log's beginning: so much is looked at behind it.
_READ = 8 * BLOCK_SIZE
_TAR_AT = 257
_REPAIR = "`backhaul repair` makes a log of what the run's other files still have."


def check_header(path: Path, head: bytes) -> bool:
    """Whether a log starts here; False for an empty file or one torn inside its header.

    Raises `NotAWandbLog`, saying what the bytes are instead. A version byte above 0 is accepted: record types that are
    newer than this reader are carried as they are. So is a file whose beginning is hurt when records stand behind it.
    """
    if len(head) < len(FILE_HEADER) and FILE_HEADER.startswith(head):
        return False
    if not is_log_header(head) and not is_headless_log(path, head):
        raise NotAWandbLog(
            f"{path} is not a W&B log: it is {identify(path, head)}.",
            next=None if head.strip(b"\x00") or not is_blank(path) else _REPAIR,
        )
    return True


def is_log_header(head: bytes) -> bool:
    """Whether `head`, the first bytes of a file, starts a W&B log of any version (the seventh byte is the version)."""
    return head[: len(FILE_MAGIC)] == FILE_MAGIC


def is_headless_log(path: Path, head: bytes) -> bool:
    """Whether the file at `path` that starts with `head` is a log whose beginning is hurt: a record is found behind it.

    A file that has another format's signature is none, whatever is inside it. Raises OSError when reading fails.
    """
    if _known(head):
        return False
    with path.open("rb") as file:
        window = _first_written(file)
    return any(_is_record(data) for _, data in Framing(io.BytesIO(window), start=0))


def _first_written(file: BinaryIO) -> bytes:
    """What stands behind the zeros at a file's beginning, some blocks of it; nothing when there is nothing else."""
    while data := file.read(_READ):
        if data.strip(b"\x00"):
            return data + file.read(_READ)
    return b""


def _is_record(data: bytes) -> bool:
    record = decoded(data)
    return record is not None and record.WhichOneof("record_type") is not None


def identify(path: Path, head: bytes) -> str:
    """What the file at `path` that starts with `head` is, as a phrase for a message: "a zip archive".

    A database is opened, read-only, to tell its tables and whether it is intact. Raises OSError when reading fails.
    """
    if head.startswith(_SQLITE):
        return f"an SQLite database {_database(path)}"
    if head and not any(head):
        return _zeros(path)
    return describe(head)


def describe(head: bytes) -> str:
    """What a file that starts with `head` is, by these bytes alone."""
    unknown = f"unknown content, it starts with {head[:8].hex(' ')}" if any(head) else "nothing but zero bytes"
    return _known(head) or unknown


def _known(head: bytes) -> str | None:
    """What a file of another format is; None when nothing tells."""
    if head.startswith(_SQLITE):
        return "an SQLite database"
    for signature, phrase in _SIGNATURES:
        if head.startswith(signature):
            return phrase
    if head.startswith(b"ustar", _TAR_AT):
        return "a tar archive (unpack it: `tar -xf`)"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_HTML):
        return "an HTML page (an error or login page, saved in place of the file?)"
    if text.startswith((b"{", b"[")):
        return "JSON text"
    return None


def is_blank(path: Path) -> bool:
    """Whether the file at `path` has nothing but zero bytes, or none at all. Raises OSError when reading fails."""
    with path.open("rb") as file:
        return not _first_written(file)


def _zeros(path: Path) -> str:
    """All zeros, or zeros where the log's beginning was."""
    if is_blank(path):
        return "nothing but zero bytes (space that was reserved and never written, or a disk that lost the content)"
    return "a file that begins with zero bytes where a log has its header (a disk that lost a part of it?)"


def _database(path: Path) -> str:
    """What an SQLite database holds and whether it is intact. `immutable`: no lock, no journal, nothing is written."""
    # Only now: hardly anybody has such a file, and everybody who reads a log would wait for the library.
    import sqlite3

    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    except sqlite3.Error as error:
        return f"that does not open ({error})"
    try:
        names = [str(name) for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        return f"that is damaged ({error})"
    finally:
        connection.close()
    state = "intact" if verdict == "ok" else "damaged"
    return f"({state}, {_tables(names)}); W&B logs are not SQLite, so this is another program's file"


def _tables(names: list[str]) -> str:
    if not names:
        return "without tables"
    shown = ", ".join(names[:_MOST_TABLES])
    return f"tables: {shown}" + (f" and {len(names) - _MOST_TABLES} more" if len(names) > _MOST_TABLES else "")
