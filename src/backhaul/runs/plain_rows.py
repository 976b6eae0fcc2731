"""The fast way from history records to JSON lines: many at a time, as columns of bytes.

Most of a log's bytes are rows of one shape: flat keys, and JSON values, each shorter than 128 bytes. On the wire an
item of such a row is ``0A len``, the tag of the key (``0A`` for `key`, ``12`` for `nested_key`) with its length and
bytes, then ``82 01`` (field 16) with the value's length and bytes; behind the last item may stand the row's step,
``12 len``. The line differs from it by a few bytes around key and value only, so these are overwritten or taken out for
all rows together. A row that looks otherwise in any way gives None, and the caller decodes its message.

That is exact, not a guess. Every ``82 01`` is taken for the end of a key, and the item around it is believed only if
it begins where the one before it ended, and all three lengths lead to where they should. So the items that are found
are those that a decoder would find. Keys with characters that JSON escapes are left to the decoder; values that have a
quote in them are parsed each by itself, and each finished line as a whole. What the step's bytes say is not looked at:
a row tells it in `_step`.

It costs a tenth of what decoding the messages costs, and needs numpy, whose import takes as long as decoding some
thousand rows: see `history` for when it is worth it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from backhaul.runs.keytree import is_json

# A line, and its `_step`.
PlainLine = tuple[str, int]

_Bytes = npt.NDArray[np.uint8]
_Places = npt.NDArray[np.int64]
_Flags = npt.NDArray[np.bool_]

_ITEM_TAG, _KEY_TAG, _LABEL_TAG, _STEP_TAG, _VALUE_TAG = 0x0A, 0x0A, 0x12, 0x12, b"\x82\x01"
_LONGEST = 0x7F
_LONGEST_STEP = 2 + _LONGEST  # with its tag and length
# What a finished line has behind its last value.
_END = b"}\n"
_QUOTE, _BACKSLASH, _COMMA, _COLON, _BRACE, _SPACE = b'"\\,:{ '
_NO_SPECIAL = ord("x")
# Small enough that what is computed on the way stays in the cache, and in memory that is used again.
_BYTES_TOGETHER = 64 << 10


def plain_lines(records: Sequence[bytes]) -> Iterator[PlainLine | None]:
    """The line of each HistoryRecord, given as its bytes, with its step; None for one that is not plain."""
    count = len(records) * _BYTES_TOGETHER // (sum(map(len, records)) or 1) + 1
    for first in range(0, len(records), count):
        yield from _lines(records[first : first + count])


def _lines(records: Sequence[bytes]) -> Iterator[PlainLine | None]:
    text = bytearray(_END.join(records) + _END)
    data = np.frombuffer(text, np.uint8)
    ends = np.cumsum(np.fromiter(map(len, records), np.int64, len(records)) + len(_END))
    items = _items(data, ends)
    is_plain = _plain_rows(data, ends, items)
    is_kept = np.ones(len(data), np.bool_)
    _take_out(is_kept, ends, items)
    is_plain &= ~_rows_with_odd_texts(data, ends, items, is_plain, is_kept, bytes(text))
    _overwrite(data, items)
    for row in np.flatnonzero(~is_plain):
        is_kept[(ends[row - 1] if row else 0) : ends[row] - 1] = False
    try:
        lines = data[is_kept].tobytes().decode().split("\n")
    except UnicodeDecodeError:
        return repeat(None, len(records))
    return _checked(lines, np.bincount(items.rows, minlength=len(records)).tolist())


@dataclass(frozen=True, slots=True)
class _Items:
    """What may be items, in order: where each starts, where its value's tag stands, where it ends, and its row."""

    starts: _Places
    values: _Places
    ends: _Places
    rows: _Places
    is_first: _Flags

    @property
    def is_last(self) -> _Flags:
        return np.roll(self.is_first, -1)


def _items(data: _Bytes, ends: _Places) -> _Items:
    values = np.flatnonzero(data == _VALUE_TAG[0])
    values = values[data[values + 1] == _VALUE_TAG[1]]
    rows = np.searchsorted(ends, values, "right")
    # The last bytes of a row's step may look like the tag: no length comes behind them.
    has_length = values + len(_VALUE_TAG) < ends[rows] - len(_END)
    values, rows = values[has_length], rows[has_length]
    item_ends = values + len(_VALUE_TAG) + 1 + data[values + len(_VALUE_TAG)]
    is_first = np.ones(len(values), np.bool_)
    is_first[1:] = rows[1:] != rows[:-1]
    starts = np.empty_like(values)
    starts[1:] = item_ends[:-1]
    starts[is_first] = (ends - np.diff(ends, prepend=0))[rows[is_first]]
    # An item that would begin behind its value's tag is none; its start is looked at all the same.
    return _Items(np.minimum(starts, values), values, item_ends, rows, is_first)


def _plain_rows(data: _Bytes, ends: _Places, items: _Items) -> _Flags:
    """Which rows are items from their start to their end, or to their step."""
    starts, values = items.starts, items.values
    key_tags, value_starts = data[starts + 2], values + len(_VALUE_TAG) + 1
    is_item = (
        (data[starts] == _ITEM_TAG)
        & (data[starts + 1] <= _LONGEST)
        & (starts + 2 + data[starts + 1] == items.ends)
        & ((key_tags == _KEY_TAG) | (key_tags == _LABEL_TAG))
        & (starts + 4 + data[starts + 3] == values)
        & (items.ends <= ends[items.rows] - len(_END))
        # An object may have to be merged with what is there; no value at all is no JSON.
        & (data[value_starts] > _SPACE)
        & (data[value_starts] != _BRACE)
    )
    is_plain = np.zeros(len(ends), np.bool_)
    is_plain[items.rows] = True
    is_plain[items.rows[~is_item]] = False
    last = is_plain[items.rows] & items.is_last
    tails, rows = items.ends[last], items.rows[last]
    sizes = ends[rows] - len(_END) - tails
    is_step = (data[tails] == _STEP_TAG) & (data[tails + 1] <= _LONGEST) & (data[tails + 1] + 2 == sizes)
    is_plain[rows[(sizes > 0) & ~is_step]] = False
    return is_plain


def _take_out(is_kept: _Flags, ends: _Places, items: _Items) -> None:
    """What a line has not: the lengths, the key's tag, and the step."""
    is_kept[items.starts + 1] = is_kept[items.starts + 2] = is_kept[items.values + 2] = False
    tails, stops = items.ends[items.is_last], ends[items.rows[items.is_last]] - len(_END)
    # What is longer is no step: the row is not plain, and goes as a whole.
    for place in range(min(int((stops - tails).max(initial=0)), _LONGEST_STEP)):
        longer = tails + place
        is_kept[longer[longer < stops]] = False


def _rows_with_odd_texts(
    data: _Bytes, ends: _Places, items: _Items, is_plain: _Flags, is_kept: _Flags, text: bytes
) -> _Flags:
    """Which of the plain rows have a key that JSON would escape, or a value with a quote in it that is no JSON."""
    for places in (items.starts, items.starts + 3, items.values, items.values + 1, ends - 1):
        data[places] = _NO_SPECIAL
    is_special = ((data < _SPACE) | (data == _QUOTE) | (data == _BACKSLASH)) & is_kept
    data[ends - 1] = _END[-1]
    places = np.flatnonzero(is_special)
    rows = np.searchsorted(ends, places, "right")
    places, rows = places[is_plain[rows]], rows[is_plain[rows]]
    owners = np.searchsorted(items.values, places, "right") - 1
    is_in_value = (owners >= 0) & (items.rows[owners] == rows) & (places < items.ends[owners])
    is_odd = np.zeros(len(ends), np.bool_)
    is_odd[rows[~is_in_value | (data[places] < _SPACE)]] = True
    for item in np.unique(owners[is_in_value]):
        if not is_json(text[items.values[item] + 3 : items.ends[item]]):
            is_odd[items.rows[item]] = True
    return is_odd


def _overwrite(data: _Bytes, items: _Items) -> None:
    """Put what JSON wants in the place of what the wire has."""
    data[items.starts] = np.where(items.is_first, _BRACE, _COMMA)
    data[items.starts + 3] = data[items.values] = _QUOTE
    data[items.values + 1] = _COLON


def _checked(lines: list[str], counts: list[int]) -> Iterator[PlainLine | None]:
    """Each line, if it is JSON, has as many keys as the row had items, and tells its step."""
    for line, count in zip(lines, counts, strict=False):
        try:
            # Quick, but NaN and the infinities are unknown to it.
            members = orjson.loads(line)
        except orjson.JSONDecodeError:
            members = _parsed(line)
        if type(members) is dict and len(members) == count and type(step := members.get("_step")) is int:
            yield line, step
        else:
            yield None


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
