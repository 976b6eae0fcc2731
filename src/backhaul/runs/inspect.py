"""A run directory at a glance: who the run is and how its log ends, without reading it whole."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

from backhaul.errors import EmptyLog, UnreadableFile
from backhaul.runs.directory import RunDirectory
from backhaul.runs.identity import RunIdentity, identity_of
from backhaul.wandblog.chunk import BLOCK_SIZE, CHUNK_HEADER, CHUNK_HEADER_SIZE, FILE_HEADER, is_true_chunk
from backhaul.wandblog.framing import Framing
from backhaul.wandblog.grid import grid_base
from backhaul.wandblog.identify import check_header
from backhaul.wandblog.reader import LogEnd
from backhaul.wandblog.record import decoded
from backhaul.wandblog.schema import Record

# The run record is the second or third; in a log that lost its head it may come later, or be missing altogether.
_FIRST_BYTES = (1 << 10, 8 << 10)
_HEAD_RECORDS = 200
_HEAD_BYTES = 16 << 20
# After the exit record the Go engine writes a few short records or none, the Python engine the whole summary as well.
_TAIL_BLOCKS, _TAIL_BLOCKS_OF_PYTHON = 1, 8
# The field `exit` of `Record` as it stands on the disk, how far into the record, and how often it is looked for.
_EXIT_TAG, _EXIT_WITHIN, _MOST_TRIES = b"\x92\x01", 64, 100


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
    return Inspection(directory, identity, _end(file, base, size, producer), size, producer, run is not None)


def _head(file: BinaryIO, base: int) -> tuple[Record | None, Record | None]:
    """The first record that can be read, and the first run record."""
    first = None
    for stop in (*_FIRST_BYTES, _HEAD_BYTES):
        for _, data in islice(Framing(file, base=base, stop=stop), _HEAD_RECORDS):
            record = decoded(data)
            first = first or record
            if record is not None and record.WhichOneof("record_type") == "run":
                return first, record
    return first, None


def _end(file: BinaryIO, base: int, size: int, producer: str) -> LogEnd:
    blocks = max(0, (size - base) // BLOCK_SIZE - (_TAIL_BLOCKS if producer else _TAIL_BLOCKS_OF_PYTHON))
    start = max(base + blocks * BLOCK_SIZE, len(FILE_HEADER))
    file.seek(start)
    if _has_exit_chunk(file.read(size - start)):
        return LogEnd.COMPLETE
    framing = Framing(file, start=start, base=base)
    records = [data for batch in framing.batches() for data in batch.datas]
    if any(_EXIT_TAG in data[:_EXIT_WITHIN] and _is_exit(data) for data in reversed(records)):
        return LogEnd.COMPLETE
    torn = any(damage.offset + damage.length >= size for damage in framing.damage)
    return LogEnd.TORN if torn else LogEnd.NO_EXIT


def _has_exit_chunk(tail: bytes) -> bool:
    """Whether the exit record lies there in one chunk, found by its tag and believed by its checksum.

    It does in nearly every log of a job that ended, and then no other chunk need be looked at.
    """
    found = len(tail)
    for _ in range(_MOST_TRIES):
        found = tail.rfind(_EXIT_TAG, 0, found)
        if found < 0:
            break
        last = found - CHUNK_HEADER_SIZE
        for position in range(last, max(-1, last - _EXIT_WITHIN), -1):
            if is_true_chunk(tail, position, len(tail)):
                _, length, _ = CHUNK_HEADER.unpack_from(tail, position)
                start = position + CHUNK_HEADER_SIZE
                if _is_exit(tail[start : start + length]):
                    return True
    return False


def _is_exit(data: bytes) -> bool:
    record = decoded(data)
    return record is not None and record.WhichOneof("record_type") == "exit"
