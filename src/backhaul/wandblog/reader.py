"""Reading a log: every whole record of any SDK from 0.10 to 0.31, and a name for how the file ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from backhaul.errors import UnreadableFile
from backhaul.wandblog.chunk import FILE_HEADER
from backhaul.wandblog.damage import Damage, DamageKind
from backhaul.wandblog.framing import Framing
from backhaul.wandblog.identify import check_header, is_log_header
from backhaul.wandblog.ownership import Ownership
from backhaul.wandblog.record import Batch, LogRecord
from backhaul.wandblog.tear import Tear, tear_of

_HEAD = 512


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
        framing = Framing(file, start=len(FILE_HEADER) if is_log_header(head) else 0)
        own = Ownership(framing.damage)
        for raw in framing.batches():
            yield from own.take(raw)
            self.producer = own.producer
        self.size = framing.size
        yield from own.finish(self.size)
        self._finish(own)

    def _finish(self, own: Ownership) -> None:
        damages = (self._name_tail(damage, has_exit=own.has_exit) for damage in own.explained())
        self.damage = sorted(damages, key=lambda damage: (damage.offset, damage.end))
        if own.has_exit:
            self.end = LogEnd.COMPLETE
        elif self.damage and self.damage[-1].kind is DamageKind.TORN:
            self.end = LogEnd.TORN
        elif own.last_offset:
            self.end = LogEnd.NO_EXIT

    def _name_tail(self, damage: Damage, *, has_exit: bool) -> Damage:
        """The Go engine writes nothing behind its exit record: what stands there was appended.

        Zeros at the end are space that was reserved and never written, or newest data that never reached the disk,
        which is the tear's matter: either way no record that was whole is lost by them.
        """
        if damage.kind is DamageKind.ZEROED and damage.end == self.size:
            return replace(damage, numbers=range(0))
        if damage.kind is DamageKind.TORN and has_exit and self.producer:
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
