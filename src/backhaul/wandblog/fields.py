"""A protobuf message taken apart field by field, without a schema.

For messages that grow with every SDK release, and for looking at what a record carries before it is decoded. The form
on the wire: a varint of the field's number and type, then a varint, 8 bytes, a varint length with so many bytes, or
4 bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

# In ten bytes. Of a crafted one without an end the numbers would grow with each byte.
_MOST_BITS = 70


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf message: number, and the varint or the bytes. Ends at the first byte that is none."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        value: int | bytes
        match tag & 7:
            case 0:
                value, position = _varint(data, position)
            case 2:
                length, position = _varint(data, position)
                value, position = data[position : position + length], position + length
            case 1:
                value, position = data[position : position + 8], position + 8
            case 5:
                value, position = data[position : position + 4], position + 4
            case _:
                return
        yield tag >> 3, value


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < _MOST_BITS:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    return value, position
