"""Lines to batches and back."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backhaul.depot.store.lines import LONGEST_BATCH, pack, unpack

_ANY_TEXT = st.text(st.characters(codec=None, categories=None))


@given(first=st.integers(0, 2**40), content=st.lists(st.none() | _ANY_TEXT, max_size=40))
def test_every_line_comes_back_under_its_number(first: int, content: list[str | None]) -> None:
    """Whatever text a line holds (line feeds, lone surrogates, nothing), it is returned as it came."""
    expected = {first + place: line for place, line in enumerate(content) if line is not None}
    found = {
        batch.first + place: line for batch in pack(first, content) for place, line in enumerate(unpack(batch.body))
    }
    assert expected == found


def test_long_content_is_cut_into_batches_that_can_be_read_alone() -> None:
    """No batch has more lines than a page needs, and together they leave no gap."""
    batches = pack(7, [f"line {number}" for number in range(3 * LONGEST_BATCH + 5)])
    assert [batch.count for batch in batches] == [LONGEST_BATCH] * 3 + [5]
    assert [7 + LONGEST_BATCH * index for index in range(4)] == [batch.first for batch in batches]


def test_lines_of_a_megabyte_lie_alone() -> None:
    """A batch does not grow past its size because its lines are few."""
    batches = pack(0, ["x" * (1 << 20)] * 3)
    assert [batch.count for batch in batches] == [1, 1, 1]


def test_batches_of_an_older_depot_are_read() -> None:
    """The body's form stays: what Python's own zlib packed is read, and it reads what is packed now."""
    assert unpack(b"\x00" + zlib.compress(b'{"a":1}\n{"a":2}')) == ['{"a":1}', '{"a":2}']
    (batch,) = pack(0, ["x", "y"])
    assert zlib.decompress(batch.body[1:]) == b"x\ny"


def test_a_damaged_batch_is_told() -> None:
    """What is no zlib data, or only a part of them, raises ValueError."""
    (batch,) = pack(0, ["a line", "another line"])
    for damaged in (b"\x00nonsense", batch.body[:-3]):
        with pytest.raises(ValueError, match="damaged batch"):
            unpack(damaged)
