"""Files of several reads: what lies across the edge of two reads, far apart, or on a grid that is not known yet."""

from __future__ import annotations

import io
import random
from collections.abc import Callable

import pytest

from backhaul.wandblog import Damage, DamageKind, framing
from backhaul.wandblog.chunk import FIRST, FULL, LAST, chunk
from backhaul.wandblog.framing import Framing

_HEADER = b":W&B\xe1\xbe\x00"
_BLOCK = 32768
_MIB = 1 << 20
_LONGEST = b"\x00\x00\x00\x00\xf0\x7f\x01"

Made = Callable[..., bytes]


def _read(log: bytes) -> tuple[list[bytes], list[tuple[int, int, DamageKind]]]:
    framing = Framing(io.BytesIO(log))
    records = list(framing)
    assert all(log[offset + 6] in (FULL, FIRST) for offset, _ in records)
    return [data for _, data in records], [(damage.offset, damage.length, damage.kind) for damage in framing.damage]


def _records(count: int, sizes: tuple[int, int], seed: int = 0) -> list[bytes]:
    chance = random.Random(seed)
    return [b"%d:" % index + chance.randbytes(chance.randrange(*sizes)) for index in range(count)]


@pytest.mark.parametrize("sizes", [(0, 60_000), (200_000, 900_000), (30_000, 33_000)])
def test_records_across_the_edges_of_reads_are_whole(sizes: tuple[int, int], framed: Made) -> None:
    """Some six megabytes, in reads of two: records of a part of a block to many blocks."""
    records = _records(12 * _MIB // sum(sizes), sizes)
    assert _read(framed(*records)) == (records, [])


def test_a_file_that_gives_less_than_it_is_asked_for_is_read_whole(framed: Made) -> None:
    """A network file system may end a read early; only nothing at all is the end."""

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size, 70_000) if size and size > 0 else size)

    records = _records(200, (0, 30_000))
    framing = Framing(Slow(framed(*records)))
    assert [data for _, data in framing] == records
    assert framing.damage == []


@pytest.mark.parametrize("before", [1, 6, 7, 8, 150, 20_000, 32_000])
def test_the_first_chunk_behind_a_hole_is_found_across_the_edge_of_a_read(
    before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However little of it lies before the edge: what cannot be seen whole is looked at again with the next read."""
    monkeypatch.setattr(framing, "_FIRST_READ", 100_000)
    start = _HEADER + chunk(FULL, b"first")
    hole = b"\xee" * (len(_HEADER) + 100_000 - before - len(start))
    found, damage = _read(start + hole + chunk(FULL, b"y" * 32_700) + chunk(FULL, b"last"))
    assert found == [b"first", b"y" * 32_700, b"last"]
    assert [(offset, length) for offset, length, _ in damage] == [(len(start), len(hole))]


@pytest.mark.parametrize(
    "hole",
    [bytes(5 * _MIB), b"x" * (5 * _MIB), random.Random(9).randbytes(5 * _MIB)],
    ids=["zeros", "text", "random bytes"],
)
def test_one_hole_of_several_reads_is_one_damage(hole: bytes, framed: Made) -> None:
    """Told from its first to its last byte; everything behind it is read."""
    before, after = _records(5, (0, 500), 1), _records(400, (0, 900), 2)
    head = framed(*before)
    found, damage = _read(head + hole + framed(*after)[7:])
    assert found == [*before, *after]
    assert [(offset, length) for offset, length, _ in damage] == [(len(head), len(hole))]


def test_a_hole_at_the_end_is_told_to_the_last_byte(framed: Made) -> None:
    """Appended bytes over several reads, and zeros."""
    head = framed(b"foo")
    assert _read(head + b"\xee" * (3 * _MIB))[1] == [(len(head), 3 * _MIB, DamageKind.APPENDED)]
    assert _read(head + bytes(3 * _MIB))[1] == [(len(head), 3 * _MIB, DamageKind.ZEROED)]


def test_a_torn_record_of_many_blocks_is_one_torn_tail(framed: Made) -> None:
    """Its parts take several reads."""
    log = framed(b"foo", bytes(5 * _MIB) + b"end", b"last")
    end = len(log) - 7 - len(b"last")
    assert _read(log[: end - 1]) == ([b"foo"], [(17, end - 1 - 17, DamageKind.TORN)])


def test_reading_stops_where_it_is_told_to(framed: Made) -> None:
    """`stop` is the file's end for this reading, whatever lies behind."""
    records = _records(3000, (900, 1100))
    log = framed(*records)
    for stop in (7, 8, 100_000, 256 << 10, 2_500_000, len(log), len(log) + 5):
        limited, cut = Framing(io.BytesIO(log), stop=stop), Framing(io.BytesIO(log[:stop]))
        assert list(limited) == list(cut), stop
        assert (limited.damage, limited.size) == (cut.damage, cut.size), stop


@pytest.mark.parametrize("fill", range(1, 7))
def test_the_fill_at_a_block_s_end_is_known_on_any_grid(fill: int, framed: Made) -> None:
    """A grid that begins anywhere: the zeros before its next block are no damage, and show where it lies."""
    first, second = b"f" * (_BLOCK - 7 - 7 - fill), b"s" * 50_000
    shifted = framed(first, second, b"end")[7:]
    framing = Framing(io.BytesIO(_HEADER + chunk(FULL, b"moved by this much") + shifted))
    assert [data for _, data in framing] == [b"moved by this much", first, second, b"end"]
    assert framing.damage == []


def test_a_bad_length_is_told_by_the_grid_that_the_file_shows(framed: Made) -> None:
    """A FIRST chunk ends at a block's end: from there on it is known what is too long, also on a shifted grid."""
    log = bytearray(_HEADER + chunk(FULL, b"shift") + framed(b"x" * 40_000, b"hurt", b"y" * 30_000, b"end")[7:])
    at = log.index(b"hurt") - 7
    log[at + 4 : at + 6] = b"\xff\x7d"
    log[at + 7] ^= 1
    found, damage = _read(log)
    assert found == [b"shift", b"x" * 40_000, b"y" * 30_000, b"end"]
    assert damage == [(at, 11, DamageKind.BAD_LENGTH)]


def test_a_bad_last_chunk_of_a_block_leads_to_the_next_block(framed: Made) -> None:
    """Its length leads to the fill; what its payload looks like does not matter."""
    inner = chunk(FULL, b"looks like a record")
    last = (inner + b"p" * 200)[:200]
    first = b"f" * (_BLOCK - 7 - 7 - 7 - len(last) - 5)
    log = bytearray(framed(first, last, b"next block"))
    at = log.index(inner) - 7
    log[at + 7 + 150] ^= 1
    assert _read(log) == ([first, b"next block"], [(at, 7 + 200 + 5, DamageKind.BAD_CHECKSUM)])


def test_a_second_log_far_behind_is_found(framed: Made) -> None:
    """Behind a torn record, behind garbage, and more than once."""
    one, two, three = _records(300, (5000, 9000), 1), _records(300, (5000, 9000), 2), [b"three"]
    torn = framed(*one)[:-10]
    log = torn + b"garbage" + framed(*two) + framed(*three)
    found, damage = _read(log)
    assert found == [*one[:-1], *two, *three]
    last = len(torn) - (len(one[-1]) + 7 + 7 - 10)
    second = len(torn) + len(b"garbage")
    assert [kind for _, _, kind in damage][-2:] == [DamageKind.SECOND_HEADER] * 2
    assert [offset for offset, _, _ in damage][-2:] == [second, second + len(framed(*two))]
    assert last <= damage[0][0] < len(torn)


def test_a_second_header_after_an_unfinished_record_leaves_that_as_an_orphan(framed: Made) -> None:
    """The unfinished record is one damage, the header another."""
    head = _HEADER + chunk(FIRST, b"unfinished")
    found, damage = _read(head + framed(b"second"))
    assert found == [b"second"]
    assert damage == [(7, 17, DamageKind.ORPHAN), (24, 7, DamageKind.SECOND_HEADER)]


def test_a_block_of_countless_bad_chunks_is_passed_over_and_the_next_one_read(framed: Made) -> None:
    """Past a hundred in one block the rest of it counts as lost; the time for it stays bounded."""
    mine = (_LONGEST + chunk(FULL, b"")) * (2 * _BLOCK // 14)
    log = framed(b"before") + mine
    log += bytes(-len(log) % _BLOCK)
    after = [b"after", b"z" * 100]
    found, damage = _read(log + framed(*after)[7:])
    assert found[0] == b"before"
    assert found[-2:] == after
    assert len(found) < 2 * 3 * 100 + 10
    assert damage[-1][0] + damage[-1][1] == len(log)


def test_a_middle_part_that_is_hurt_loses_its_record_alone(framed: Made) -> None:
    """Every part of a record of many blocks: its whole extent is one damage."""
    records = [b"before", random.Random(4).randbytes(6 * _BLOCK), b"after"]
    log = framed(*records)
    for block in range(1, 6):
        hurt = bytearray(log)
        hurt[block * _BLOCK + 100] ^= 1
        start, end = 7 + 13, log.index(b"after") - 7
        assert _read(hurt) == ([b"before", b"after"], [(start, end - start, DamageKind.BAD_CHECKSUM)])


def test_a_part_whose_length_alone_is_hurt_is_taken(framed: Made) -> None:
    """FIRST, MIDDLE and LAST alike: the checksum says where they end, as long as a true chunk follows."""
    record = random.Random(5).randbytes(3 * _BLOCK)
    log = framed(b"before", record, b"after")
    for at in (20, _BLOCK, 2 * _BLOCK, 3 * _BLOCK):
        hurt = bytearray(log)
        hurt[at + 4] ^= 0x10
        framing = Framing(io.BytesIO(hurt))
        assert [data for _, data in framing] == [b"before", record, b"after"], at
        assert [(damage.offset, damage.length, damage.numbers) for damage in framing.damage] == [(at, 7, range(0))]


def test_a_lone_last_part_is_not_mended_into_a_record() -> None:
    """There is nothing that it could be the end of."""
    log = bytearray(_HEADER + chunk(LAST, b"lone") + chunk(FULL, b"record"))
    log[7 + 4] ^= 0x10
    framing = Framing(io.BytesIO(log))
    assert [data for _, data in framing] == [b"record"]
    assert framing.damage == [Damage(7, 11, framing.damage[0].kind)]


@pytest.mark.parametrize("before", [100, 2_200_000], ids=["at the start", "behind the first reads"])
def test_only_the_crafted_block_is_passed_over(before: int, framed: Made) -> None:
    """Reading goes on with the chunk at the very start of the next block; the loss ends there to the byte."""
    records = _records(before // 1000 + 1, (900, 1100))
    log = framed(*records)
    log += chunk(FULL, bytes(-(len(log) + 7) % _BLOCK))
    crafted = ((_LONGEST + chunk(FULL, b"")) * (_BLOCK // 14)).ljust(_BLOCK, b"\xee")
    after = chunk(FULL, b"at the start of the block") + chunk(FULL, b"end")
    found, damage = _read(log + crafted + after)
    assert found[: len(records)] == records
    assert found[-2:] == [b"at the start of the block", b"end"]
    assert len(found) < len(records) + 200
    assert damage[0][0] == len(log)
    assert damage[-1][0] + damage[-1][1] == len(log) + _BLOCK
    assert len(log) % _BLOCK == 0


def test_a_last_record_whose_type_and_payload_are_hurt_was_a_record(framed: Made) -> None:
    """Its own length ends it with the file, so it is not taken for something that was appended."""
    log = bytearray(framed(b"foo", b"barbaz"))
    log[17 + 6] = 9
    log[-1] ^= 1
    assert _read(log) == ([b"foo"], [(17, 13, DamageKind.BAD_TYPE)])
    assert _read(log + b"?") == ([b"foo"], [(17, 14, DamageKind.APPENDED)])


def test_damage_before_a_second_log_ends_before_it(framed: Made) -> None:
    """A hurt record far in front of it is a damage of its own."""
    records = _records(20, (100, 200))
    first, second = bytearray(framed(*records)), framed(b"second")
    first[40] ^= 1
    assert _read(first + second) == (
        [*records[1:], b"second"],
        [(7, 7 + len(records[0]), DamageKind.BAD_CHECKSUM), (len(first), 7, DamageKind.SECOND_HEADER)],
    )


def test_garbage_with_two_headers_is_a_second_log_from_the_first_one_on(framed: Made) -> None:
    """What stands between the two is the second log's, too."""
    first, second = framed(b"one"), framed(b"two")
    found, damage = _read(first + _HEADER + b"\xee" * 50 + second)
    assert found == [b"one", b"two"]
    assert damage == [(len(first), 7 + 50 + 7, DamageKind.SECOND_HEADER)]
