"""A record told by its first bytes is what decoding it says, whatever its bytes are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backhaul.wandblog.raw import RawBatch
from backhaul.wandblog.record import UNDECODABLE, Batch, LogRecord
from backhaul.wandblog.schema import DecodeError, Record

_lengths = st.sampled_from([0, 1, 5, 126, 127, 128, 129, 300, 16_383, 16_384, 20_000])
_contents = st.one_of(st.binary(max_size=40), _lengths.map(lambda length: b"\x12" * length))
_numbers = st.one_of(st.integers(0, 300), st.integers(16_000, 17_000), st.integers(1 << 20, 1 << 23), st.integers())


def _varint(value: int, padding: int = 0) -> bytes:
    """A varint; with padding, the same value in more bytes than it needs."""
    low = []
    while value > 0x7F or (padding and len(low) < padding):
        low.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*low, value])


_varints = st.builds(_varint, st.one_of(_lengths, _numbers.map(abs)), st.integers(0, 4))
# Heads as writers make them, with numbers and lengths that fit or do not, and what comes behind.
_heads = st.builds(
    lambda number, tag, content, behind: number + tag + _varint(len(content)) + content + behind,
    st.one_of(st.just(b""), _varints.map(lambda number: b"\x08" + number)),
    st.sampled_from([b"\x12", b"\x1a", b"\x22", b"\x0a", b"\x92\x80\x00", b"\x92\x01", b"\x13"]),
    _contents,
    st.one_of(st.just(b""), st.just(b"\xc2\x0c\x02\x0a\x00"), st.just(b"\x08\x07"), st.binary(max_size=4)),
)
_pieces = st.one_of(_varints, _contents, st.sampled_from([b"\x08", b"\x12", b"\x1a", b"\x08\x81\x01\x12\x00"]))
_datas = st.one_of(_heads, st.lists(_pieces, max_size=5).map(b"".join))


def _read(*datas: bytes) -> list[LogRecord]:
    return list(Batch.of(RawBatch(list(range(len(datas))), list(datas))))


def _decoded(data: bytes) -> tuple[str | None, int, Any]:
    try:
        message = Record.FromString(data)
    except DecodeError:
        return UNDECODABLE, 0, None
    kind = message.WhichOneof("record_type")
    return kind, message.num, getattr(message, kind) if kind else None


@settings(max_examples=600, deadline=None)
@example([b"\x08\x80\x80\x80\x01\x12\x04abcd"])
@example([b"\x08\x81\x80\x80\x00\x12\x04abcd"])
@example([b"\x08\x80\x80\x80\x12\x04abcd"])
@example([b"\x12\x80\x80\x80\x01" + b"x" * (1 << 21)])
@example([b"\x12\x80\x80\x80\x01" + b"x" * ((1 << 21) - 1)])
@example([b"\x12\x04abcd\x12\x02ef"])
@example([b"\x08\x01\x12\x05abcd"])
@given(st.lists(_datas, max_size=4))
def test_a_records_first_bytes_say_what_decoding_says(datas: list[bytes]) -> None:
    """Kind, number and content are the same both ways, and records of one batch do not touch each other."""
    for record, data in zip(_read(*datas), datas, strict=True):
        kind, number, content = _decoded(data)
        assert (record.data, record.kind, record.number) == (data, kind, number)
        if kind != UNDECODABLE:
            assert record.content == content
            assert record.message == Record.FromString(data)


@pytest.mark.parametrize("number", [0, 1, 127, 128, 16_383, 16_384, (1 << 21) - 1])
@pytest.mark.parametrize("length", [8, 127, 128, 16_383, 16_384, 40_000])
def test_usual_rows_and_summaries_are_not_decoded(number: int, length: int) -> None:
    """What most of a log consists of is told by its first bytes: the test above does not compare one way to itself."""
    for kind in ("history", "summary"):
        (record,) = _read(Record(num=number, **{kind: b"x" * length}).SerializeToString())
        assert (record.kind, record.number, record.content, record.decoded) == (kind, number, b"x" * length, None)


def test_a_batch_gives_its_contents_together_and_by_kind() -> None:
    """With those that had to be decoded among them, and in the two parts of a batch that was split."""
    messages = [Record(num=index, history=b"row %d" % index * 3) for index in range(3)]
    messages[1:1] = [Record(num=7), Record(num=8)]
    messages[1].exit.exit_code = 9
    messages[2].summary = b""
    batch = Batch.of(RawBatch([10, 20, 30, 40, 50], [message.SerializeToString() for message in messages]))
    expected = [
        ("history", messages[0].history),
        ("exit", messages[1].exit),
        ("summary", b""),
        ("history", messages[3].history),
        ("history", messages[4].history),
    ]
    front, rest = batch.split(2)
    assert list(batch.contents()) == expected == [*front.contents(), *rest.contents()]
    assert batch.contents_of("history") == [messages[index].history for index in (0, 3, 4)]
    assert (front.contents_of("exit"), rest.contents_of("exit")) == ([messages[1].exit], [])
    assert list(Batch.of_records(batch)) == list(batch) == [*front, *rest]
    assert [record.offset for record in rest] == [30, 40, 50]
