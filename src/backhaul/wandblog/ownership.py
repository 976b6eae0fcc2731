"""Ownership: which of the records that are read in a file are this log's, each once.

A file may hold a page twice, the whole log twice, another log as well, or parts of two records that were joined because
the block between them is missing. The records' numbers tell (`Numbering`), and where they may be a copy, their bytes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from itertools import chain

from backhaul.wandblog.damage import Damage, DamageKind, DamageList, without_overlaps
from backhaul.wandblog.numbering import Numbering, Place
from backhaul.wandblog.raw import RawBatch
from backhaul.wandblog.record import UNDECODABLE, Batch, LogRecord
from backhaul.wandblog.state import State, bytes_of, damages_of, plain_damages, text_of

# Records of these types change how those behind them are taken.
_LANDMARKS = frozenset({"header", "run", "exit", UNDECODABLE})
# A page that stands in the file a second time is looked for this far back: some 4 MiB.
RECENT_BATCHES = 8


class Ownership:
    """Takes all records of one file in order and gives out those of its log.

    `damage` is that of the framing, which grows while it reads. `has_exit`: whether an exit record was given out;
    `producer`: the SDK version that the header record names, None when there was none; `last_offset`: where the last
    record of the log starts, 0 when there was none.
    """

    def __init__(self, damage: list[Damage]) -> None:
        self.has_exit = False
        self.producer: str | None = None
        self.last_offset = 0
        self._damage = damage
        self._run = b""
        self._numbering = Numbering()
        self._set_asides = DamageList()
        self._held: LogRecord | None = None
        self._held_end = self._before_held = 0
        self._recent: deque[RawBatch] = deque(maxlen=RECENT_BATCHES)
        self._copies: dict[bytes, int] | None = None

    def state(self) -> State:
        """What is known of the log between two batches; the last `RECENT_BATCHES` have to be remembered beside it."""
        held = self._held and [self._held.offset, text_of(self._held.data), self._held_end, self._before_held]
        return {
            "has_exit": self.has_exit,
            "producer": self.producer,
            "last_offset": self.last_offset,
            "run": text_of(self._run),
            "numbering": self._numbering.state(),
            "set_asides": plain_damages(self._set_asides.found),
            "held": held,
        }

    def restore(self, state: State) -> None:
        """Go on from a `state()`."""
        self.has_exit, self.producer, self.last_offset = state["has_exit"], state["producer"], state["last_offset"]
        self._run = bytes_of(state["run"])
        self._numbering.restore(state["numbering"])
        self._set_asides.found = damages_of(state["set_asides"])
        if state["held"] is not None:
            offset, data, self._held_end, self._before_held = state["held"]
            (self._held,) = Batch.of(RawBatch([offset], [bytes_of(data)]))

    def remember(self, raw: RawBatch) -> None:
        """These records come before those that will be taken; a page of them may stand there again."""
        self._recent.append(raw)

    def take(self, raw: RawBatch) -> Iterator[Batch]:
        """The records of the next batch that are the log's."""
        self.remember(raw)
        self._copies = None
        yield from self._own(Batch.of(raw), raw)

    def finish(self, size: int) -> Iterator[Batch]:
        """There are no more records, and the file has `size` bytes: the one that was held back, if any."""
        yield Batch.of_records(self._release(None))
        self._numbering.finish(size)

    def explained(self) -> Iterator[Damage]:
        """All damage of the file, with the numbers of the records lost by it."""
        own = without_overlaps(self._damage, self._set_asides.found)
        return self._numbering.explain(without_overlaps(own, self._numbering.foreign), self.last_offset)

    def _own(self, batch: Batch, raw: RawBatch) -> Iterator[Batch]:
        """The records of a batch that are this log's. Nearly always they are in step, and only compared together."""
        if self._is_in_step(batch):
            yield Batch.of_records(self._release(next(iter(batch))))
            # A record of several chunks is whole if the next one's number says so: only for the last one it cannot.
            front, batch = batch.split(len(batch.offsets) - 1)
            self._numbering.expected += len(front.offsets) if self._numbering.expected else 0
            self.last_offset = front.offsets[-1]
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
        number, previous, place = record.number, self.last_offset, Place.OWN
        if number != self._numbering.watched or record.kind == "header":
            place = self._numbering.place(
                record.offset,
                number,
                previous,
                is_header=record.kind == "header" and not self._is_late_beginning(number),
                is_own_run=record.kind == "run" and record.data == self._run,
            )
        elif number:
            self._numbering.expected += 1
        if place is Place.FOREIGN:
            return
        self.last_offset = record.offset
        if place is Place.REPEATED or (place is Place.SEEN and self._is_copy(record)):
            self._set_aside(record.offset, end, DamageKind.REPEATED)
            return
        self._note_landmark(record)
        if is_joined and number:
            self._held, self._held_end, self._before_held = record, end, previous
        else:
            yield record

    def _is_late_beginning(self, number: int) -> bool:
        """Whether a header is this log's own, behind others of its records: blocks of the file have changed places."""
        return not self._run and self._numbering.lacks(number)

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
        self.last_offset = self._before_held
        self._numbering.take_back(held.number)

    def _is_damaged_between(self, first: int, second: int) -> bool:
        """Whether there is damage between two offsets. The framing is ahead: its last damage may lie behind both."""
        for damages in (self._damage, self._set_asides.found):
            index = bisect_right(damages, first, key=lambda damage: damage.offset)
            if index < len(damages) and damages[index].offset < second:
                return True
        return False

    def _is_copy(self, record: LogRecord) -> bool:
        """Whether the same bytes were given out shortly before: a page of the file that stands there twice."""
        if self._copies is None:
            self._copies = {}
            for offset, data in chain.from_iterable(self._recent):
                self._copies.setdefault(data, offset)
        return self._copies.get(record.data, record.offset) < record.offset

    def _note_landmark(self, record: LogRecord) -> None:
        if record.kind == "exit":
            self.has_exit = True
        elif record.kind == "run" and not self._run:
            self._run = record.data
        elif record.kind == "header" and self.producer is None:
            self.producer = record.content.version_info.producer

    def _set_aside(self, offset: int, end: int, kind: DamageKind) -> None:
        found = self._set_asides.found
        if found and found[-1].kind is kind and found[-1].end == offset:
            offset = found.pop().offset
        self._set_asides.add(Damage(offset, end - offset, kind))
