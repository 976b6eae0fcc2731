"""The fast way through the items of summary records.

Most of them are of one shape: a key of printable ASCII (or a path of such keys) and a JSON number, word
or plain string, each shorter than 128 bytes. Such a record is taken apart by one regular expression over its bytes,
several times faster than through message objects. Anything else gives None, and the caller decodes the message.

That is exact, not a guess. On the wire an item is ``0A len``, the tag of the key (``0A`` for `key`, ``12`` for each
label of `nested_key`) with its length and bytes, then ``82 01`` (field 16) with the value's length and bytes. Keys and
values are valid UTF-8, in which the byte 82 never follows an ASCII character, so the first ``82 01`` after a run of
ASCII ends the key; a value of this shape has no control character, so it ends before the next tag. The lengths of all
matches must add up to the record's own, so nothing can lie between two matches. An item with both forms of a key is not
plain.
"""

from __future__ import annotations

import re

# `.` stands for a length below 128: of a longer one the second byte fits nowhere in the pattern.
_LABEL = r"[ !#-\[\]-~]++"
_VALUE = (
    r"\x82\x01.(-?+(?:[1-9][0-9]*+|0)(?:\.[0-9]++)?+(?:[eE][+-]?+[0-9]++)?+"
    r'|"[ !#-\[\]-~]*+"|true|false|null|NaN|-?Infinity)'
)
_ITEM = re.compile(rf"\n.(?:\x12|\n(?!.{_LABEL}\x12)).({_LABEL}(?:\x12.{_LABEL})*+){_VALUE}", re.DOTALL)
# Tag and length of the item, of the key, and (two bytes of tag) of the value.
_BYTES_AROUND = 7
_NEXT_LABEL = re.compile(r"\x12.", re.DOTALL)

Pairs = list[tuple[str, str]]


def plain_items(data: bytes) -> Pairs | None:
    """The items of a SummaryRecord, given as its bytes, in order: key and raw JSON text; None when it is not plain.

    The bytes of several records, one behind the other, are one record. For a key of several labels see `labels`.
    """
    text = data.decode("latin-1")
    pairs: Pairs = _ITEM.findall(text)
    return pairs if len("".join(map("".join, pairs))) + _BYTES_AROUND * len(pairs) == len(text) else None


def labels(key: str) -> list[str]:
    """The labels of a key as `plain_items` gives it."""
    return _NEXT_LABEL.split(key)


def is_path(key: str) -> bool:
    """Whether a key as `plain_items` gives it has several labels."""
    return "\x12" in key
