"""A run directory at a glance: who the run is and how its log ends, without reading it whole."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

from backhaul.errors import EmptyLog, UnreadableFile
from backhaul.runs.directory import RunDirectory
from backhaul.runs.identity import RunIdentity, identity_of
from backhaul.wandblog.framing import BLOCK_SIZE, FILE_HEADER, Framing, grid_base
from backhaul.wandblog.reader import LogEnd, check_header
from backhaul.wandblog.schema import DecodeError, Record

# The run record is the second or third; in a log that lost its head it may come later, or be missing altogether.
_FIRST_BYTES = 8 << 10
_HEAD_RECORDS = 200
_HEAD_BYTES = 16 << 20
# The Python engine writes a few records after the exit record, one of which is the whole summary.
_TAIL_BLOCKS = 8


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a first look at a run directory shows. `size` is the log's length in bytes.

    `end` is as far as the first and last blocks tell. `producer` is the SDK version that the header names, empty for
    the Python engine. `has_run_record` is False when identity had to be taken from the file's name.
    """

    directory: RunDirectory
    identity: RunIdentity
    end: LogEnd
    size: int
    producer: str = ""
    has_run_record: bool = True


def inspect(directory: RunDirectory) -> Inspection:
    """Look at the head and the tail of a run's log.

    Raises `UnreadableFile`, `NotAWandbLog`, and `EmptyLog` for a log without a single record.
    """
    try:
        with directory.log.open("rb") as file:
            return _inspect(directory, file)
    except OSError as error:
        raise UnreadableFile(f"{directory.log} cannot be read: {error.strerror or error}") from error


def _inspect(directory: RunDirectory, file: BinaryIO) -> Inspection:
    size = file.seek(0, 2)
    file.seek(0)
    if not check_header(directory.log, file.read(512)):
        raise EmptyLog(f"{directory.log} is empty ({size} bytes): no record of this run reached the disk.")
    base = grid_base(file)
    first, run = _head(file, base)
    if first is None:
        raise EmptyLog(f"{directory.log} has a header and no record ({size} bytes).")
    identity = RunIdentity(directory.run_id_hint) if run is None else identity_of(run.run)
    producer = first.header.version_info.producer
    return Inspection(directory, identity, _end(file, base, size), size, producer, run is not None)


def _head(file: BinaryIO, base: int) -> tuple[Record | None, Record | None]:
    """The first record that can be read, and the first run record."""
    first = None
    for stop in (_FIRST_BYTES, _HEAD_BYTES):
        for _, data in islice(Framing(file, base=base, stop=stop), _HEAD_RECORDS):
            record = _decoded(data)
            first = first or record
            if record is not None and record.WhichOneof("record_type") == "run":
                return first, record
    return first, None


def _decoded(data: bytes) -> Record | None:
    try:
        return Record.FromString(data)
    except DecodeError:
        return None


def _end(file: BinaryIO, base: int, size: int) -> LogEnd:
    blocks = max(0, (size - base) // BLOCK_SIZE - _TAIL_BLOCKS)
    start = max(base + blocks * BLOCK_SIZE, len(FILE_HEADER))
    framing = Framing(file, start=start, base=base)
    records = [data for batch in framing.batches() for _, data in batch]
    # From the end: nothing but the few last records of the Python engine comes after it.
    if any(_is_exit(data) for data in reversed(records)):
        return LogEnd.COMPLETE
    torn = any(damage.offset + damage.length >= size for damage in framing.damage)
    return LogEnd.TORN if torn else LogEnd.NO_EXIT


def _is_exit(data: bytes) -> bool:
    record = _decoded(data)
    return record is not None and record.WhichOneof("record_type") == "exit"
