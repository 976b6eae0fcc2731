"""A message taken apart without a schema, also one that somebody made up."""

from __future__ import annotations

from backhaul.wandblog.fields import fields


def test_each_kind_of_field_is_found() -> None:
    """A varint, eight bytes, bytes with their length, four bytes."""
    message = bytes.fromhex("08ac021101020304050607081a036162632501020304")
    assert list(fields(message)) == [(1, 300), (2, bytes(range(1, 9))), (3, b"abc"), (4, bytes(range(1, 5)))]


def test_a_number_without_an_end_does_not_grow_with_the_message() -> None:
    """Ten bytes are the longest there are: to add up a million would take an hour."""
    assert all(number < 1 << 70 for number, _ in fields(b"\x08" + b"\x80" * 1000))
