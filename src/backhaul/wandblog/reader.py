"""Reading a log: every whole record of any SDK from 0.10 to 0.31, and a name for how the file ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

from backhaul.errors import UnreadableFile
from backhaul.wandblog.chunk import FILE_HEADER
from backhaul.wandblog.damage import Damage, DamageKind
from backhaul.wandblog.framing import Framing, Watch
from backhaul.wandblog.identify import check_header, is_log_header
from backhaul.wandblog.mark import Mark, Trail
from backhaul.wandblog.ownership import RECENT_BATCHES, Ownership
from backhaul.wandblog.raw import RawBatch
from backhaul.wandblog.record import Batch, LogRecord
from backhaul.wandblog.state import State
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

    With `state`, what `state()` of another reader gave, the records behind that place are read, as if those before it
    had been read too. Then the log must begin with the bytes that were seen up to there. Raises what `NOT_A_STATE`
    lists for what is no state. `watch` is shown the bytes that are read, in order; of some it is shown a part twice.
    """

    def __init__(self, path: Path, state: State | None = None, watch: Watch | None = None) -> None:
        self.path = path
        self.end = LogEnd.EMPTY
        self.size = 0
        self.damage: list[Damage] = []
        self.producer: str | None = None
        self.notes: list[str] = []
        self._begin = None if state is None else _Begin.of(state)
        self._watch = watch
        self._state: Callable[[], State | None] = lambda: None

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
        return chain.from_iterable(self.windows())

    def windows(self) -> Iterator[list[Batch]]:
        """The same batches, those of one stretch of the file together: between two of them there is a `state`."""
        try:
            with self.path.open("rb") as file:
                for batches in self._read(file):
                    yield [batch for batch in batches if batch.offsets]
        except OSError as error:
            raise UnreadableFile(f"{self.path} cannot be read: {error.strerror or error}") from error

    def state(self) -> State | None:
        """What reading has come to behind the last window, for a reader that goes on from there; None at some places.

        `seen` in it is the size of the log's beginning of which it is a function.
        """
        return self._state()

    def _read(self, file: BinaryIO) -> Iterator[Iterable[Batch]]:
        head = file.read(_HEAD)
        self.size = len(head)
        if self._watch is not None:
            self._watch(0, head)
        if not check_header(self.path, head):
            return
        self._note_header(head)
        self.end = LogEnd.HEADER_ONLY
        framing = Framing(file, start=len(FILE_HEADER) if is_log_header(head) else 0, watch=self._watch)
        own = Ownership(framing.damage)
        raws, trail = framing.batches(), Trail(RECENT_BATCHES)
        self._state = lambda: _state_of(framing, own, trail)
        if self._begin is not None:
            trail = self._begin.go_on(framing, own, raws)
            self.producer = own.producer
        for raw in raws:
            trail.go_on(framing.mark())
            yield own.take(raw)
            self.producer = own.producer
        self.size = framing.size
        yield own.finish(self.size)
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


def _state_of(framing: Framing, own: Ownership, trail: Trail) -> State | None:
    here = framing.mark()
    if here is None:
        return None
    mark, batches = trail.start()
    return {"seen": here.seen, "mark": mark and mark.plain(), "batches": batches, "ownership": own.state()}


@dataclass(frozen=True, slots=True)
class _Begin:
    """From where to read: `batches` behind a mark, None for the file's start, the state is that of `ownership`."""

    mark: Mark | None
    batches: int
    ownership: State

    @classmethod
    def of(cls, state: State) -> _Begin:
        """What a reader's state says. Raises what `NOT_A_STATE` lists."""
        mark = None if state["mark"] is None else Mark.of_plain(state["mark"])
        Ownership([]).restore(state["ownership"])
        return cls(mark, int(state["batches"]), state["ownership"])

    def go_on(self, framing: Framing, own: Ownership, raws: Iterator[RawBatch]) -> Trail:
        """Read again what has to be remembered, from the mark up to the state's place."""
        if self.mark is not None:
            framing.go_on_from(self.mark)
        own.restore(self.ownership)
        trail = Trail(RECENT_BATCHES, self.mark)
        for raw in islice(raws, self.batches):
            own.remember(raw)
            trail.go_on(framing.mark())
        return trail
