"""Reading a log: every whole record of any SDK from 0.10 to 0.31, and a name for how the file ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from backhaul.errors import NotAWandbLog, UnreadableFile
from backhaul.wandblog.chunk import FILE_HEADER
from backhaul.wandblog.damage import Damage, DamageKind, DamageList
from backhaul.wandblog.framing import Framing
from backhaul.wandblog.identify import identify, is_headless_log, is_log_header
from backhaul.wandblog.numbering import Numbering, Place
from backhaul.wandblog.raw import RawBatch
from backhaul.wandblog.record import UNDECODABLE, Batch, LogRecord
from backhaul.wandblog.tear import Tear, tear_of

_HEAD = 512
# Records of these types change how those behind them are taken.
_LANDMARKS = frozenset({"header", "run", "exit", UNDECODABLE})
# A page that stands in the file a second time is looked for this far back: some 4 MiB.
_RECENT_BATCHES = 8


class LogEnd(StrEnum):
    """How a log ends. A kill of the writer leaves anything but `COMPLETE`."""

    COMPLETE = "complete"
    NO_EXIT = "no exit record"
    TORN = "torn"
    HEADER_ONLY = "header only"
    EMPTY = "empty"


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
        self._recent: deque[RawBatch] = deque(maxlen=_RECENT_BATCHES)
        self._copies: dict[bytes, int] | None = None

    def __iter__(self) -> Iterator[LogRecord]:
        return chain.from_iterable(self.batches())

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

    def batches(self) -> Iterator[Batch]:
        """The same records, many at a time; none of the batches is empty."""
        try:
            with self.path.open("rb") as file:
                yield from (batch for batch in self._read(file) if batch.offsets)
        except OSError as error:
            raise UnreadableFile(f"{self.path} cannot be read: {error.strerror or error}") from error

    def _read(self, file: BinaryIO) -> Iterator[Batch]:
        head = file.read(_HEAD)
        self.size = len(head)
        if not check_header(self.path, head):
            return
        self._note_header(head)
        self.end = LogEnd.HEADER_ONLY
        self._framing = Framing(file, start=len(FILE_HEADER) if is_log_header(head) else 0)
        for raw in self._framing.batches():
            self._recent.append(raw)
            self._copies = None
            yield from self._own(Batch.of(raw), raw)
        yield Batch.of_records(self._release(None))
        self._finish()

    def _own(self, batch: Batch, raw: RawBatch) -> Iterator[Batch]:
        """The records of a batch that are this log's. Nearly always they are in step, and only compared together."""
        if self._is_in_step(batch):
            yield Batch.of_records(self._release(next(iter(batch))))
            # A record of several chunks is whole if the next one's number says so: only for the last one it cannot.
            front, batch = batch.split(len(batch.offsets) - 1)
            self._numbering.expected += len(front.offsets) if self._numbering.expected else 0
            self._last_offset = front.offsets[-1]
            yield front
        yield Batch.of_records(self._own_records(batch, raw))

    def _is_in_step(self, batch: Batch) -> bool:
        """Whether the batch has several records, whose numbers all are those expected, and no landmark."""
        expected, count = self._numbering.watched, len(batch.numbers)
        in_step = list(range(expected, expected + count)) if expected else [0] * count
        return count > 1 and expected >= 0 and batch.numbers == in_step and _LANDMARKS.isdisjoint(batch.kinds)

    def _own_records(self, batch: Batch, raw: RawBatch) -> Iterator[LogRecord]:
        """The records of a batch that are this log's, each looked at by itself."""
        for record in batch:
            end = raw.end_of(record.offset, record.data)
            if record.kind == UNDECODABLE:
                self._set_aside(record.offset, end, DamageKind.UNDECODABLE)
            else:
                yield from self._release(record)
                yield from self._own_record(record, end, is_joined=record.offset in raw.joined)

    def _own_record(self, record: LogRecord, end: int, *, is_joined: bool) -> Iterator[LogRecord]:
        """The record itself if it is this log's; one of several chunks is held back until the next one is seen."""
        number, previous, place = record.number, self._last_offset, Place.OWN
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
        if place is Place.REPEATED or (place is Place.SEEN and self._is_copy(record)):
            self._set_aside(record.offset, end, DamageKind.REPEATED)
            return
        self._note_landmark(record)
        if is_joined and number:
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
            or following.number in (0, held.number + 1)
            or self._is_damaged_between(held.offset, following.offset)
        ):
            yield held
            return
        self._set_aside(held.offset, self._held_end, DamageKind.ORPHAN)
        self._last_offset = self._before_held
        self._numbering.take_back(held.number)

    def _is_damaged_between(self, first: int, second: int) -> bool:
        return any(
            first < damages[-1].offset < second for damages in (self._framing.damage, self._set_asides.found) if damages
        )

    def _is_copy(self, record: LogRecord) -> bool:
        """Whether the same bytes were given out shortly before: a page of the file that stands there twice."""
        if self._copies is None:
            self._copies = {}
            for offset, data in chain.from_iterable(self._recent):
                self._copies.setdefault(data, offset)
        return self._copies.get(record.data, record.offset) < record.offset

    def _note_landmark(self, record: LogRecord) -> None:
        if record.kind == "exit":
            self._exit_seen = True
        elif record.kind == "run" and not self._run:
            self._run = record.data
        elif record.kind == "header" and self.producer is None:
            self.producer = record.content.version_info.producer

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
