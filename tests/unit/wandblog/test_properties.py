"""What holds for all logs and for all bytes."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from backhaul.errors import NotAWandbLog
from backhaul.wandblog import DamageKind, LogEnd, LogReader
from backhaul.wandblog.chunk import chunk
from backhaul.wandblog.framing import Framing
from backhaul.wandblog.writer import LogWriter

_HEADER = b":W&B\xe1\xbe\x00"
_BLOCK = 32768

# Lengths matter around a chunk's and a block's size; content does not.
_lengths = st.one_of(
    st.integers(0, 300),
    st.integers(_BLOCK - 40, _BLOCK + 40),
    st.integers(2 * _BLOCK - 40, 2 * _BLOCK + 40),
    st.integers(0, 100_000),
)


def _payload(index: int, length: int) -> bytes:
    return random.Random(index).randbytes(length)


@settings(max_examples=200, deadline=None)
@given(st.lists(_lengths, max_size=12))
def test_what_was_written_is_read(lengths: list[int]) -> None:
    """Any records, in any number and of any length: the same bytes at the offsets that the writer told."""
    file = io.BytesIO()
    writer = LogWriter(file)
    written = [(writer.write(_payload(index, length)), _payload(index, length)) for index, length in enumerate(lengths)]
    framing = Framing(file)
    assert [(offset, data) for offset, data in framing] == written
    assert (framing.damage, framing.size, writer.size) == ([], len(file.getvalue()), len(file.getvalue()))


_pieces = st.one_of(
    st.binary(max_size=200),
    st.integers(1, 40_000).map(bytes),
    st.just(_HEADER),
    st.builds(chunk, st.sampled_from([1, 2, 3, 4]), st.binary(max_size=300)),
    st.builds(lambda kind, size: chunk(kind, b"\x01" * size), st.sampled_from([1, 2, 3, 4]), st.integers(0, 32761)),
    st.builds(
        lambda kind, data, cut: chunk(kind, data)[:cut], st.sampled_from([1, 4]), st.binary(), st.integers(0, 20)
    ),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_pieces, max_size=15).map(b"".join))
@example(b"\x1b\xdf\x05\xa5\x00\x00\x00")
def test_any_bytes_are_accounted_for(data: bytes) -> None:
    """Whatever follows a file header: records and damage in file order, inside the file; what is lost is no record."""
    framing = Framing(io.BytesIO(_HEADER + data))
    offsets = [offset for offset, _ in framing]
    assert offsets == sorted(set(offsets))
    end = len(_HEADER)
    for damage in framing.damage:
        assert damage.offset >= end
        assert damage.length > 0
        end = damage.end
    assert end <= framing.size == len(_HEADER) + len(data)
    # Of a chunk that was mended the header is hurt, and nothing is lost.
    lost = [damage for damage in framing.damage if damage.numbers != range(0)]
    assert not any(damage.offset <= offset < damage.end for damage in lost for offset in offsets)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_pieces, max_size=10).map(b"".join))
def test_any_log_is_read(saved: Callable[[bytes], Path], data: bytes) -> None:
    """Whatever follows a file header: no error, and afterwards the reader can tell how it went."""
    reader = LogReader(saved(_HEADER + data))
    offsets = [record.offset for record in reader]
    assert offsets == sorted(offsets)
    assert all(damage.end <= reader.size for damage in reader.damage)
    assert reader.end is not LogEnd.EMPTY
    assert reader.size == len(_HEADER) + len(data)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=4000).filter(lambda data: data[:6] != _HEADER[:6][: len(data)]))
def test_any_other_file_is_refused_with_a_reason(saved: Callable[[bytes], Path], data: bytes) -> None:
    """Nothing but a classified error leaves the reader."""
    with pytest.raises(NotAWandbLog, match="is not a W&B log: it is "):
        list(LogReader(saved(data)))


def _seconds(data: bytes) -> float:
    start = time.process_time()
    for _ in Framing(io.BytesIO(_HEADER + data)).batches():
        pass
    return time.process_time() - start


def test_crafted_bytes_take_linear_time() -> None:
    """Files that ask for the most work per byte: 1 MiB of each, which takes half a second, takes less than ten.

    Checking every byte as the start of a 32 KiB chunk would take minutes.
    """
    size = 1 << 20
    longest = b"\x00\x00\x00\x00\xf0\x7f\x01"
    for pattern in (
        b"\x01",
        b"\x7f\x01",
        b"\x04\x03\x02\x01",
        longest,
        longest + chunk(1, b""),
        b"\x00" + chunk(1, b""),
        b"\x00" + longest,
        chunk(2, b""),
        chunk(3, b"") + b"\x00",
        chunk(2, b"") + longest,
    ):
        data = pattern * (size // len(pattern))
        assert _seconds(data) < 10, pattern


def test_a_file_of_nothing_but_damage_has_a_short_list_of_it() -> None:
    """Memory is bounded: past 10,000 entries the last one stands for all the rest."""
    piece = chunk(1, b"good") + b"x" * 2000
    framing = Framing(io.BytesIO(_HEADER + piece * 12_000))
    assert sum(1 for _ in framing) == 12_000
    assert len(framing.damage) == 10_000
    assert framing.damage[-1].end == framing.size
    assert framing.damage[-1].kind in (DamageKind.BAD_TYPE, DamageKind.APPENDED)
