"""Where the block grid of a log starts, from a glance at its first blocks."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from backhaul.wandblog.grid import ALIGNED, MISALIGNED, grid_base
from backhaul.wandblog.writer import LogWriter

_BLOCK = 32768


def _log(base: int, *records: bytes) -> bytearray:
    """A log whose blocks begin at `base`: the Go writer before SDK 0.17.6 did not count the file header."""
    file = io.BytesIO()
    writer = LogWriter(file)
    writer.size -= base
    for record in records:
        writer.write(record)
    return bytearray(file.getvalue())


_BASES = pytest.mark.parametrize("base", [ALIGNED, MISALIGNED])


@pytest.mark.parametrize(("name", "base"), [("0.17.5-core", MISALIGNED), ("0.17.9", ALIGNED), ("0.31.0-long", ALIGNED)])
def test_the_grid_of_recorded_logs_is_known(name: str, base: int, recorded: Callable[[str], Path]) -> None:
    """As their SDKs wrote them."""
    with recorded(name).open("rb") as file:
        assert grid_base(file) == base


@_BASES
def test_one_record_over_all_blocks_shows_the_grid(base: int) -> None:
    """Each of its chunks fills a block to the last byte."""
    assert grid_base(io.BytesIO(_log(base, random.Random(1).randbytes(10 * _BLOCK)))) == base


@_BASES
@pytest.mark.parametrize("hurt", range(1, 8))
def test_hurt_blocks_leave_it_to_the_next_one(base: int, hurt: int) -> None:
    """As far as the eighth."""
    log = _log(base, *[random.Random(index).randbytes(300) for index in range(1000)])
    log[_BLOCK : (hurt + 1) * _BLOCK] = bytes(hurt * _BLOCK)
    assert grid_base(io.BytesIO(log)) == base


@_BASES
@pytest.mark.parametrize("room", range(1, 12))
def test_an_empty_part_at_a_block_s_end_does_not_mislead(base: int, room: int) -> None:
    """Where exactly seven bytes are left, a record begins with a part of no bytes."""
    first = b"f" * (_BLOCK - 7 - 7 - room + base)
    assert grid_base(io.BytesIO(_log(base, first, b"second record, which goes into the next block"))) == base


@pytest.mark.parametrize("size", [0, 7, 100, _BLOCK, _BLOCK + 3])
def test_a_file_without_a_second_block_counts_as_aligned(size: int) -> None:
    """It is the same under both."""
    assert grid_base(io.BytesIO(_log(ALIGNED, b"x" * 40_000)[:size])) == ALIGNED
