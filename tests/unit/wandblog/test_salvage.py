"""One chunk that is hurt: what it is called, where reading goes on, and when it can be taken all the same."""

from __future__ import annotations

import io
import random

import pytest

from backhaul.wandblog.chunk import FIRST, FULL, LAST, MIDDLE, chunk, is_true_chunk
from backhaul.wandblog.damage import Damage, DamageKind, DamageList
from backhaul.wandblog.framing import Framing
from backhaul.wandblog.salvage import Search, by_own_length, mended_type

from ...framed_log import framed

_HEADER = b":W&B\xe1\xbe\x00"
_BLOCK = 32768


def _read(log: bytes) -> tuple[list[bytes], list[Damage]]:
    framing = Framing(io.BytesIO(log))
    return [data for _, data in framing], framing.damage


def test_no_chunk_is_longer_than_a_block() -> None:
    """However well its checksum holds: no writer makes it."""
    for size in (32761, 32762, 60_000):
        made = bytearray(chunk(FULL, b"") + b"x" * size)
        made[:7] = chunk(FULL, b"x" * size)[:4] + size.to_bytes(2, "little") + b"\x01"
        assert is_true_chunk(bytes(made), 0, len(made)) == (size == 32761)


def test_a_last_chunk_whose_length_leads_out_of_the_file_is_no_true_one() -> None:
    """Though its checksum holds for what there is: it is taken, and told."""
    log = framed(b"foo", b"bar")
    log[-3 - 3] = 77
    assert not is_true_chunk(bytes(log), len(log) - 10, len(log))
    assert _read(log) == ([b"foo", b"bar"], [Damage(17, 7, DamageKind.BAD_LENGTH, range(0))])


@pytest.mark.parametrize("true", [FULL, FIRST, MIDDLE, LAST])
@pytest.mark.parametrize("hurt", [0, 1, 2, 3, 4, 200])
def test_a_type_byte_that_is_hurt_is_known_by_the_checksum(true: int, hurt: int) -> None:
    """Also when it became another type's."""
    piece = chunk(true, b"payload")
    assert mended_type(piece[:6] + bytes([hurt]) + piece[7:], 0, len(piece)) == true


def test_a_type_that_became_another_one_costs_nothing() -> None:
    """A whole record among others, and each part of a record of several blocks."""
    records = [b"before", b"hurt", random.Random(1).randbytes(3 * _BLOCK), b"after"]
    log = framed(*records)
    starts = [7, 20, 31, _BLOCK, 2 * _BLOCK, 3 * _BLOCK]
    for start in starts:
        for kind in (1, 2, 3, 4):
            hurt = bytearray(log)
            hurt[start + 6] = kind
            found, damage = _read(hurt)
            assert found == records, (start, kind)
            assert [each.numbers for each in damage] == ([] if hurt == log else [range(0)]), (start, kind)


def test_an_empty_record_whose_length_is_hurt_is_taken() -> None:
    """There is no payload: the checksum is that of the type alone."""
    log = framed(b"before", b"", b"after")
    log[20 + 4] = 3
    assert _read(log) == ([b"before", b"", b"after"], [Damage(20, 7, DamageKind.BAD_CHECKSUM, range(0))])


def test_a_record_of_many_blocks_that_is_cut_anywhere_is_torn() -> None:
    """Behind and inside each of its chunks; a whole block of it is no exception."""
    log = framed(b"foo", bytes(3 * _BLOCK))
    for cut in (18, 25, _BLOCK - 1, _BLOCK, _BLOCK + 1, _BLOCK + 7, _BLOCK + 8, 2 * _BLOCK - 1, 2 * _BLOCK, 70_000):
        assert _read(log[:cut]) == ([b"foo"], [Damage(17, cut - 17, DamageKind.TORN)]), cut


def test_a_last_record_whose_payload_is_hurt_is_not_torn() -> None:
    """It ends where the file does: nothing of it is missing."""
    log = framed(b"foo", b"bar")
    log[-1] ^= 1
    assert _read(log) == ([b"foo"], [Damage(17, 10, DamageKind.BAD_CHECKSUM)])


@pytest.mark.parametrize("fill", range(8))
def test_the_length_of_a_bad_chunk_leads_over_the_zero_fill(fill: int) -> None:
    """Up to six bytes; where seven are left another chunk begins."""
    window = chunk(FULL, b"bad") + bytes(fill) + chunk(FULL, b"next")
    assert by_own_length(window, 0, 10 + fill) == (10 + fill if fill < 7 else None)


def test_a_search_ends_where_it_is_told_to() -> None:
    """A true chunk is found at each place before, and not at the end itself."""
    for place in (0, 1, 5, 300, 32767, 32768, 70_000):
        window = b"\xee" * place + chunk(FULL, b"true") + b"\xee" * 10
        for offset in (0, 7, 32760):
            assert Search().next_true_chunk(window, 0, place + 1, offset) == place
            assert Search().next_true_chunk(window, 0, place, offset) is None
            assert Search().next_true_chunk(window, place + 1, len(window), offset) is None


def test_a_search_takes_each_byte_for_the_start_of_a_chunk_once() -> None:
    """What looks like a long chunk, and is none, does not hide the true one behind it."""
    window = b"\x00\x00\x00\x00\x20\x00\x01" * 3 + chunk(LAST, b"true")
    assert Search().next_true_chunk(window, 0, len(window), 0) == 21


def test_a_crafted_block_gives_up_and_the_next_one_does_not() -> None:
    """So much is spent on the checksums of one block; what stands behind them in it is lost."""
    bait = b"\x00\x00\x00\x00\xf0\x7f\x01" * 1000
    window = bait + chunk(FULL, b"lost")
    window = window.ljust(_BLOCK, b"\xee") + chunk(FULL, b"found") + bytes(_BLOCK)
    search = Search()
    assert search.next_true_chunk(window, 0, len(window), 0) == _BLOCK
    assert Search().next_true_chunk(window, len(bait) - 70, len(window), 0) == len(bait)
    # The block's budget is gone, wherever in it the next search begins.
    search = Search()
    assert search.next_true_chunk(window, 0, len(bait), 0) is None
    assert search.next_true_chunk(window, len(bait) - 70, len(window), 0) == _BLOCK


def test_a_short_chunk_costs_little_of_the_budget() -> None:
    """Its length is what it costs, not its longest form: 4,000 baits do not make a block a crafted one."""
    window = b"\x00\x00\x00\x00\x10\x00\x01" * 4000 + chunk(FULL, b"true") + bytes(100)
    assert Search().next_true_chunk(window, 0, len(window), 0) == 28_000


def test_a_full_list_of_damage_ends_with_one_that_stands_for_the_rest() -> None:
    """10,000 entries; the last one reaches over all that comes after, and keeps its kind."""
    damages = DamageList()
    for index in range(10_020):
        damages.add(Damage(10 * index, 5, DamageKind.ORPHAN if index == 9999 else DamageKind.ZEROED))
    assert len(damages.found) == 10_000
    assert damages.found[-2] == Damage(99_980, 5, DamageKind.ZEROED)
    assert damages.found[-1] == Damage(99_990, 10 * 10_019 + 5 - 99_990, DamageKind.ORPHAN)


def test_a_loss_that_is_open_goes_on_as_what_it_is() -> None:
    """From its first byte to where reading goes on; another name for it at the file's end is its first one's."""
    damages = DamageList()
    assert damages.kind is None
    damages.open(10, DamageKind.BAD_TYPE, DamageKind.APPENDED)
    damages.open(20, DamageKind.ZEROED)
    assert damages.kind is DamageKind.BAD_TYPE
    damages.close(30)
    damages.open(40, DamageKind.BAD_TYPE, DamageKind.APPENDED)
    damages.close(50, at_end=True)
    damages.open(60, DamageKind.ZEROED)
    damages.close(60)
    assert damages.kind is None
    assert damages.found == [Damage(10, 20, DamageKind.BAD_TYPE), Damage(40, 10, DamageKind.APPENDED)]
