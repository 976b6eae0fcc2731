"""The way around a bad chunk: what counts as fill, how much is looked at, where reading goes on."""

from __future__ import annotations

import pytest

from backhaul.wandblog.chunk import FULL, chunk
from backhaul.wandblog.detour import Detour
from backhaul.wandblog.grid import Grid
from backhaul.wandblog.window import Window

_BLOCK = 32768


def _detour(base: int = 0) -> tuple[Detour, Grid]:
    grid = Grid(base)
    return Detour(grid), grid


def test_a_hundred_bad_chunks_of_a_block_are_looked_at() -> None:
    """Not one more; the next block has its own hundred."""
    detour, _ = _detour()
    for block in (0, 1, 7):
        looks = [detour.is_worth_a_look(block * _BLOCK + 10 * index) for index in range(103)]
        assert looks == [True] * 100 + [False] * 3


@pytest.mark.parametrize("room", range(1, 10))
def test_zeros_to_a_blocks_end_are_fill_up_to_six_of_them(room: int) -> None:
    """On a known grid, whatever stands behind them; seven have room for a chunk."""
    detour, _ = _detour()
    window = Window(bytes(room) + b"\xee" * 20, _BLOCK - room, at_end=False)
    assert detour.trailer(window, 0) == (room if room < 7 else 0)


def test_what_is_not_zero_is_no_fill() -> None:
    """Not a single byte of it."""
    for place in range(5):
        rest = bytearray(5)
        rest[place] = 1
        assert _detour()[0].trailer(Window(bytes(rest) + b"\xee" * 20, _BLOCK - 5, at_end=False), 0) == 0


@pytest.mark.parametrize("zeros", range(9))
def test_zeros_in_front_of_a_true_chunk_show_where_a_block_ends(zeros: int) -> None:
    """Off the grid that was taken for it, as where a page is missing: up to six are fill, and the grid is learned."""
    detour, grid = _detour(base=1000)
    window = Window(b"\xee" * 30 + bytes(zeros) + chunk(FULL, b"true"), 500_000, at_end=False)
    assert detour.trailer(window, 30) == (zeros if zeros < 7 else 0)
    learned = 500_030 + zeros if 0 < zeros < 7 else 1000
    assert (grid.room(learned), grid.room(learned + 1)) == (_BLOCK, _BLOCK - 1)


def test_a_block_that_is_given_up_is_left_to_its_end() -> None:
    """A true chunk inside it is passed over, one at the start of the next block is not."""
    detour, _ = _detour()
    inside = b"\xee" * 100 + chunk(FULL, b"inside")
    block = inside + b"\xee" * (_BLOCK - len(inside) - 1)
    for offset in (0, _BLOCK, 5 * _BLOCK):
        behind = Window(block + b"\xee" + chunk(FULL, b"next") + bytes(50), offset, at_end=True)
        assert detour.behind_block(behind, 20) == _BLOCK
    early = Window(block + chunk(FULL, b"one byte early") + chunk(FULL, b"next"), 0, at_end=True)
    assert detour.behind_block(early, 20) == _BLOCK - 1 + 7 + len(b"one byte early")


def test_a_search_ends_at_most_a_read_before_the_windows_end() -> None:
    """Where nothing is found, it goes on from there; in a short window one byte further, at the file's end nowhere."""
    detour, _ = _detour()
    assert detour.behind(Window(b"\xee" * 100_000, 0, at_end=False), 5) == 100_000 - 7 - 0xFFFF
    assert detour.behind(Window(b"\xee" * 50, 0, at_end=False), 5) == 6
    assert detour.behind(Window(b"\xee" * 50, 0, at_end=True), 5) == 50
