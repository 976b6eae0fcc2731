"""Reading a log: every whole record of any SDK from 0.10 to 0.31, and a name for how the file ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from backhaul.errors import NotAWandbLog, UnreadableFile
from backhaul.wandblog.chunk import CHUNK_HEADER_SIZE, FILE_HEADER
from backhaul.wandblog.damage import Damage, DamageKind, DamageList
from backhaul.wandblog.framing import Framing
from backhaul.wandblog.identify import identify, is_headless_log, is_log_header
from backhaul.wandblog.numbering import Numbering, Place
from backhaul.wandblog.schema import DecodeError, Record
from backhaul.wandblog.tear import Tear, tear_of

_HEAD = 512
# Records of these types change how those behind them are taken.
_LANDMARKS = frozenset({"header", "run", "exit"})


class LogEnd(StrEnum):
    """How a log ends. A kill of the writer leaves anything but `COMPLETE`."""

    COMPLETE = "complete"
    NO_EXIT = "no exit record"
    TORN = "torn"
    HEADER_ONLY = "header only"
    EMPTY = "empty"


class LogRecord(NamedTuple):
    """A decoded record: its file offset, its bytes as written, its type's field name (None: unknown), the message."""

    offset: int
    data: bytes
    kind: str | None
    message: Any


class LogReader:
    """The records of one log, in constant memory.

    Iterate once; afterwards the other attributes tell how it went. Raises `UnreadableFile` when the file cannot be
    opened or read and `NotAWandbLog` when its first bytes are not those of a log. Damage never raises.

    `end`: how the log ends. `size`: bytes in the file. `damage`: what gave no record, in file order. `producer`: the
    SDK version that the header record names, empty for the Python engine, None when no header record was read.
    `notes`: what else a user may want to know.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.end = LogEnd.EMPTY
        self.size = 0
        self.damage: list[Damage] = []
        self.producer: str | None = None
        self.notes: list[str] = []
        self._framing: Framing
        self._exit_seen = False
        self._run = b""
        self._numbering = Numbering()
        self._set_asides = DamageList()
        self._last_offset = 0
        self._held: LogRecord | None = None
        self._held_end = self._before_held = 0
        self._recent: list[tuple[int, bytes]] = []
        self._copies: dict[bytes, int] | None = None

    def __iter__(self) -> Iterator[LogRecord]:
        try:
            with self.path.open("rb") as file:
                yield from self._read(file)
        except OSError as error:
            raise UnreadableFile(f"{self.path} cannot be read: {error.strerror or error}") from error

    @property
    def losses(self) -> list[Damage]:
        """Damage that cost, or may have cost, records other than the newest: not the normal end of a killed run."""
        return [damage for damage in self.damage if damage.is_loss]

    @property
    def lost_records(self) -> int | None:
        """How many records are missing before the last one; None when damage hides it (SDKs before 0.13)."""
        if any(damage.numbers is None for damage in self.losses):
            return None
        return sum(len(damage.numbers) for damage in self.losses if damage.numbers is not None)

    @property
    def tear(self) -> Tear | None:
        """What may be missing behind the last record, and why; None when the log has its exit record."""
        return None if self.end is LogEnd.COMPLETE else tear_of(self.size, self.producer)

    def _read(self, file: BinaryIO) -> Iterator[LogRecord]:
        head = file.read(_HEAD)
        self.size = len(head)
        if not check_header(self.path, head):
            return
        self._note_header(head)
        self.end = LogEnd.HEADER_ONLY
        self._framing = Framing(file, start=len(FILE_HEADER) if is_log_header(head) else 0)
        for batch in self._framing.batches():
            yield from self._records(batch, self._framing.joined)
        yield from self._release(None)
        self._finish()

    def _records(self, batch: list[tuple[int, bytes]], joined: dict[int, int]) -> Iterator[LogRecord]:
        parse, numbering = Record.FromString, self._numbering
        expected = numbering.watched
        for offset, data in batch:
            try:
                message = parse(data)
            except DecodeError:
                self._set_aside(offset, joined.get(offset, _end_of(offset, data)), DamageKind.UNDECODABLE)
                continue
            kind = message.WhichOneof("record_type")
            record = LogRecord(offset, data, kind, message)
            if message.num == expected and self._held is None and offset not in joined and kind not in _LANDMARKS:
                self._last_offset = offset
                if expected:
                    expected += 1
                yield record
                continue
            if expected >= 0:
                numbering.expected = expected
            yield from self._odd_record(record, batch, joined)
            expected = numbering.watched
        if expected >= 0:
            numbering.expected = expected
        self._recent, self._copies = batch, None

    def _odd_record(
        self, record: LogRecord, batch: list[tuple[int, bytes]], joined: dict[int, int]
    ) -> Iterator[LogRecord]:
        """Take a record that has another number than expected, is a landmark, or was put together from chunks."""
        yield from self._release(record)
        number: int = record.message.num
        previous, place = self._last_offset, Place.OWN
        if number != self._numbering.watched or record.kind == "header":
            place = self._numbering.place(
                record.offset,
                number,
                previous,
                is_header=record.kind == "header",
                is_own_run=record.kind == "run" and record.data == self._run,
            )
        elif number:
            self._numbering.expected += 1
        if place is Place.FOREIGN:
            return
        self._last_offset = record.offset
        end = joined.get(record.offset, _end_of(record.offset, record.data))
        if place is Place.REPEATED or (place is Place.SEEN and self._is_copy(record, batch)):
            self._set_aside(record.offset, end, DamageKind.REPEATED)
            return
        self._note_landmark(record)
        if record.offset in joined and number:
            self._held, self._held_end, self._before_held = record, end, previous
        else:
            yield record

    def _release(self, following: LogRecord | None) -> Iterator[LogRecord]:
        """Give out a record that was put together from chunks, once the next one's number shows that it is whole.

        Where a whole block is missing, the first part of one record is followed by the last part of another; both
        checksums hold. What shows it is the gap in the numbers, when no damage in between accounts for that.
        """
        held, self._held = self._held, None
        if held is None:
            return
        if (
            following is None
            or following.message.num in (0, held.message.num + 1)
            or self._is_damaged_between(held.offset, following.offset)
        ):
            yield held
            return
        self._set_aside(held.offset, self._held_end, DamageKind.ORPHAN)
        self._last_offset = self._before_held
        self._numbering.take_back(held.message.num)

    def _is_damaged_between(self, first: int, second: int) -> bool:
        return any(
            first < damages[-1].offset < second for damages in (self._framing.damage, self._set_asides.found) if damages
        )

    def _is_copy(self, record: LogRecord, batch: list[tuple[int, bytes]]) -> bool:
        """Whether the same bytes were given out shortly before: a page of the file that stands there twice."""
        if self._copies is None:
            self._copies = {}
            for offset, data in (*self._recent, *batch):
                self._copies.setdefault(data, offset)
        return self._copies.get(record.data, record.offset) < record.offset

    def _note_landmark(self, record: LogRecord) -> None:
        if record.kind == "exit":
            self._exit_seen = True
        elif record.kind == "run" and not self._run:
            self._run = record.data
        elif record.kind == "header" and self.producer is None:
            self.producer = record.message.header.version_info.producer

    def _set_aside(self, offset: int, end: int, kind: DamageKind) -> None:
        found = self._set_asides.found
        if found and found[-1].kind is kind and found[-1].end == offset:
            offset = found.pop().offset
        self._set_asides.add(Damage(offset, end - offset, kind))

    def _finish(self) -> None:
        self.size = self._framing.size
        self._numbering.finish(self.size)
        own = _without_overlaps(self._framing.damage, self._set_asides.found)
        damages = _without_overlaps(own, self._numbering.foreign)
        explained = self._numbering.explain(damages, self._last_offset)
        self.damage = sorted(map(self._name_tail, explained), key=_extent)
        if self._exit_seen:
            self.end = LogEnd.COMPLETE
        elif self.damage and self.damage[-1].kind is DamageKind.TORN:
            self.end = LogEnd.TORN
        elif self._last_offset:
            self.end = LogEnd.NO_EXIT

    def _name_tail(self, damage: Damage) -> Damage:
        """The Go engine writes nothing behind its exit record: what stands there was appended.

        Zeros at the end are space that was reserved and never written, or newest data that never reached the disk,
        which is the tear's matter: either way no record that was whole is lost by them.
        """
        if damage.kind is DamageKind.ZEROED and damage.end == self.size:
            return replace(damage, numbers=range(0))
        if damage.kind is DamageKind.TORN and self._exit_seen and self.producer:
            return replace(damage, kind=DamageKind.APPENDED)
        return damage

    def _note_header(self, head: bytes) -> None:
        version = head[len(FILE_HEADER) - 1]
        if not is_log_header(head):
            self.notes.append(
                "The log's beginning is hurt: it is not that of a W&B log, and records stand behind it. The official "
                "client refuses such a file; `backhaul repair` makes a new one."
            )
        elif version > FILE_HEADER[-1]:
            self.notes.append(
                f"The log's format version is {version}, newer than any that is known (0): it is read as version 0, "
                "and record types that are not known are passed over."
            )


def _extent(damage: Damage) -> tuple[int, int]:
    return damage.offset, damage.end


def _end_of(offset: int, data: bytes) -> int:
    return offset + CHUNK_HEADER_SIZE + len(data)


def _is_its_header(damage: Damage, other: Damage) -> bool:
    """Whether `damage` is the file header of the second log, or of the repeated records, that `other` is."""
    is_header = damage.kind is DamageKind.SECOND_HEADER and damage.end == other.offset
    return is_header and other.kind in (DamageKind.SECOND_HEADER, DamageKind.REPEATED)


def _without_overlaps(damages: list[Damage], others: list[Damage]) -> list[Damage]:
    """Both in file order, without what lies inside one of `others`; the file header of a second log belongs to it."""
    merged: list[Damage] = []
    index = 0
    for other in others:
        while index < len(damages) and damages[index].offset < other.offset:
            merged.append(damages[index])
            index += 1
        if merged and _is_its_header(merged[-1], other):
            header = merged.pop()
            other = Damage(header.offset, other.end - header.offset, other.kind)
        while index < len(damages) and damages[index].offset < other.end:
            index += 1
        merged.append(other)
    return merged + damages[index:]


def check_header(path: Path, head: bytes) -> bool:
    """Whether a log starts here; False for an empty file or one torn inside its header.

    Raises `NotAWandbLog`, saying what the bytes are instead. A version byte above 0 is accepted: record types that are
    newer than this reader are carried as they are. So is a file whose beginning is hurt when records stand behind it.
    """
    if len(head) < len(FILE_HEADER) and FILE_HEADER.startswith(head):
        return False
    if not is_log_header(head) and not is_headless_log(path, head):
        raise NotAWandbLog(f"{path} is not a W&B log: it is {identify(path, head)}.")
    return True
