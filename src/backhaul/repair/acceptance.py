"""Which records the official client can replay, and which end its process.

`wandb sync` 0.31 stops with a panic, and with it all runs of the same command, at a record without a type, at a request
(100, 101: they were never meant to be in a log), at what 0.12 to 0.17 wrote as number 24, and at a TensorBoard record
(9) whose event files are there. Nothing that a server holds is lost without them: links and requests cannot be replayed
from a log, and TensorBoard's numbers are in the history as well.
"""

from __future__ import annotations

from collections.abc import Iterator

_LEFT_OUT = {
    9: "TensorBoard record: its numbers are in the history, and `wandb sync` crashes on it",
    24: "artifact link: no client can replay it, and `wandb sync` crashes on it",
    100: "request: it does not belong into a log, and `wandb sync` crashes on it",
    101: "request: it does not belong into a log, and `wandb sync` crashes on it",
}
_EMPTY = "record without content: `wandb sync` crashes on it"
# Fields of the envelope beside the content: number, control, uuid, _info.
_ENVELOPE = frozenset({1, 16, 19, 200})
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


def reason_to_leave_out(data: bytes) -> str | None:
    """Why the record of these bytes is not carried into a repaired log; None for one that is."""
    content = [number for number in field_numbers(data) if number not in _ENVELOPE]
    if not content:
        return _EMPTY
    return next((_LEFT_OUT[number] for number in content if number in _LEFT_OUT), None)


def field_numbers(data: bytes) -> Iterator[int]:
    """The numbers of a message's fields, in the order of its bytes; ends where they are no message."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        yield tag >> 3
        wire = tag & 7
        if wire == _VARINT:
            _, position = _varint(data, position)
        elif wire == _LENGTH:
            length, position = _varint(data, position)
            position += length
        elif wire in (_FIXED64, _FIXED32):
            position += 8 if wire == _FIXED64 else 4
        else:
            return


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    return value, position
