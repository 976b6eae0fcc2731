"""Tears: what the end of a log without an exit record tells about the writer, and about what never reached the disk."""

from __future__ import annotations

import re
from dataclasses import dataclass

from backhaul.wandblog.chunk import BLOCK_SIZE, FILE_HEADER

# From this release on the Go engine also writes its unfinished block every 15 seconds.
_TIMED_FLUSH = (0, 31)
_FLUSH_SECONDS = 15
_VERSION = re.compile(r"(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Tear:
    """How much of the newest data may never have reached the disk, and why.

    `writer` names the engine. `at_most_bytes` and `at_most_seconds` bound what is missing behind the last record; None
    where there is no such bound. `sentence` says it for people.
    """

    writer: str
    at_most_bytes: int | None
    at_most_seconds: int | None
    sentence: str


_PYTHON = Tear(
    "Python engine",
    BLOCK_SIZE,
    None,
    "The run was killed: the SDK's Python engine writes through a file buffer, so up to 32 KiB of the newest data, and "
    "the summary, which it writes last, never reached the disk.",
)
_BLOCKS = Tear(
    "Go engine up to 0.30",
    BLOCK_SIZE,
    None,
    "The run was killed: the SDK's Go engine up to 0.30 writes whole blocks only, so up to 32 KiB of the newest data "
    "never reached the disk.",
)
_TIMED = Tear(
    "Go engine from 0.31 on",
    BLOCK_SIZE,
    _FLUSH_SECONDS,
    "The run was killed: the SDK's Go engine writes every 32 KiB, and from 0.31 on every 15 seconds (as it is set by "
    "default), so at most the newest 32 KiB or 15 seconds never reached the disk.",
)
_HEADER_ONLY = Tear(
    "Go engine",
    BLOCK_SIZE,
    None,
    "The run was killed before its first block was written: the SDK's Go engine writes the file header at once and "
    "then 32 KiB at a time (from 0.31 on also every 15 seconds), so up to 32 KiB of data never reached the disk.",
)
_NOTHING = Tear(
    "unknown",
    None,
    None,
    "Nothing was written: the run was killed before its engine's first write, or the disk was full.",
)
_CUT = Tear(
    "Go engine up to 0.30",
    None,
    None,
    "The file was cut, not only its run killed: the Go engine up to 0.30 writes whole blocks, and this file ends "
    "inside one. A copy that was broken off, perhaps; the original may be longer.",
)
_UNKNOWN = Tear(
    "unknown", None, None, "The log has no exit record, and its head, which would name the writer, is lost."
)


def tear_of(size: int, producer: str | None) -> Tear:
    """The tear of a log of `size` bytes that has no exit record.

    `producer` is the version that the header record names: empty for the Python engine, None when there was no header
    record to be read.
    """
    if size < len(FILE_HEADER):
        return _NOTHING
    if size == len(FILE_HEADER):
        return _HEADER_ONLY
    if producer is None:
        return _UNKNOWN
    if not producer:
        return _PYTHON
    version = _VERSION.match(producer)
    if version and (int(version[1]), int(version[2])) >= _TIMED_FLUSH:
        return _TIMED
    # The engine before 0.17.6 did not count the file header.
    return _BLOCKS if size % BLOCK_SIZE in (0, len(FILE_HEADER)) else _CUT
