"""Records: what a log is a list of, each told by its first bytes where these suffice.

History and summary records are nearly all of a log, and their content is not this module's: it only has to find it. On
the wire such a record is ``08 number``, then ``12 length content`` (history) or ``1A length content`` (summary), and
nothing behind that; before SDK 0.13 it has no number. Numbers and lengths are varints. What looks otherwise is decoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from backhaul.wandblog.raw import RawBatch
from backhaul.wandblog.schema import DecodeError, Record

# The kind of a record whose checksum holds and whose bytes are no record.
UNDECODABLE = "undecodable"

_NUMBER_TAG = 0x08
_PLAIN_KINDS = {0x12: "history", 0x1A: "summary"}
# Four bytes for tag and number, four for tag and length.
_LONGEST_HEAD = 8
# What three bytes of a varint can say.
_TOO_LARGE = 1 << 21


class LogRecord(NamedTuple):
    """A record: its file offset, its bytes as written, its type's field name (None: unknown), its number (0: none).

    Take what it holds from `content`, or from `message` when all of its fields are wanted.
    """

    offset: int
    data: bytes
    kind: str | None
    number: int
    start: int
    decoded: Any = None

    @property
    def content(self) -> Any:
        """The message of the record's type; its bytes for the types that schema.proto leaves as bytes.

        None when the type is unknown.
        """
        return _content(self.data, self.kind, self.start, self.decoded)

    @property
    def message(self) -> Any:
        """The whole record as a `Record` message, decoded anew where it was not needed so far."""
        return Record.FromString(self.data) if self.decoded is None else self.decoded


@dataclass(slots=True)
class Batch:
    """Records one behind the other, as columns: an object for each would cost more than to find what it is.

    The columns are those of `LogRecord`; `decoded` has the messages by offset. A record that does not decode is of the
    kind `UNDECODABLE`.
    """

    offsets: list[int] = field(default_factory=list)
    datas: list[bytes] = field(default_factory=list)
    kinds: list[str | None] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    decoded: dict[int, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, raw: RawBatch) -> Batch:
        """The same records, each with what it is."""
        made = cls(raw.offsets, raw.datas)
        kind_of = _PLAIN_KINDS.get
        kind_is, number_is, start_is = made.kinds.append, made.numbers.append, made.starts.append
        for data in raw.datas:
            # The two varints are written out, for up to three bytes each: nothing else is done as often.
            if len(data) >= _LONGEST_HEAD:
                number = start = 0
                if data[0] == _NUMBER_TAG:
                    number, start = data[1], 2
                    if number > 0x7F:
                        number, start = number + (data[2] << 7) - 0x80, 3
                        if number > 0x3FFF:
                            number, start = number + (data[3] << 14) - 0x4000, 4
                kind, length, start = kind_of(data[start]), data[start + 1], start + 2
                if length > 0x7F:
                    length, start = length + (data[start] << 7) - 0x80, start + 1
                    if length > 0x3FFF:
                        length, start = length + (data[start] << 14) - 0x4000, start + 1
                if kind is not None and start + length == len(data) and number | length < _TOO_LARGE:
                    kind_is(kind)
                    number_is(number)
                    start_is(start)
                    continue
            made._decode(data)
        return made

    @classmethod
    def of_records(cls, records: Iterable[LogRecord]) -> Batch:
        """A batch of these records."""
        made = cls()
        for record in records:
            made.offsets.append(record.offset)
            made.datas.append(record.data)
            made.kinds.append(record.kind)
            made.numbers.append(record.number)
            made.starts.append(record.start)
            if record.decoded is not None:
                made.decoded[record.offset] = record.decoded
        return made

    def _decode(self, data: bytes) -> None:
        kind, number = UNDECODABLE, 0
        if (message := decoded(data)) is not None:
            kind, number = message.WhichOneof("record_type"), message.num
            self.decoded[self.offsets[len(self.kinds)]] = message
        self.kinds.append(kind)
        self.numbers.append(number)
        self.starts.append(0)

    def split(self, count: int) -> tuple[Batch, Batch]:
        """The first `count` records, and the others."""
        return self._part(slice(count)), self._part(slice(count, None))

    def _part(self, part: slice) -> Batch:
        return Batch(
            self.offsets[part],
            self.datas[part],
            self.kinds[part],
            self.numbers[part],
            self.starts[part],
            self.decoded,
        )

    def __iter__(self) -> Iterator[LogRecord]:
        return map(LogRecord, self.offsets, self.datas, self.kinds, self.numbers, self.starts, self._messages())

    def contents(self) -> Iterator[tuple[str | None, Any]]:
        """Kind and `LogRecord.content` of each record."""
        for kind, data, start, message in zip(self.kinds, self.datas, self.starts, self._messages(), strict=True):
            yield kind, data[start:] if start else _content(data, kind, start, message)

    def contents_of(self, kind: str) -> list[Any]:
        """`LogRecord.content` of the records of one kind."""
        return [
            _content(data, kind, start, message)
            for found, data, start, message in zip(self.kinds, self.datas, self.starts, self._messages(), strict=True)
            if found == kind
        ]

    def _messages(self) -> Iterator[Any]:
        return map(self.decoded.get, self.offsets)


def decoded(data: bytes) -> Any:
    """The `Record` message of a record's bytes; None for bytes that are no record."""
    try:
        return Record.FromString(data)
    except DecodeError:
        return None


def _content(data: bytes, kind: str | None, start: int, message: Any) -> Any:
    if start:
        return data[start:]
    return getattr(message, kind) if kind else None
