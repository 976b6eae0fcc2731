"""What PostgreSQL says in words of its own, and values of all kinds in one order.

A value is filed as bytes that sort as it does: its kind, then of a number its nearest double and what that lacks of it,
of a text its UTF-8.
"""

from __future__ import annotations

import struct
from typing import Any

from backhaul.depot.store.dialect import Dialect

_NUMBER, _TEXT, _BYTES = b"\x01", b"\x02", b"\x03"
_ALL_BITS, _SIGN_BIT = (1 << 64) - 1, 1 << 63
_MIDDLE = 1 << 15  # a double is at most 512 beside the number of 64 bits for which it stands


def filed(value: Any) -> bytes:
    """A finite or infinite number of at most 64 bits, a text or bytes, as they sort."""
    if isinstance(value, str):
        return _TEXT + value.encode()
    if isinstance(value, bytes):
        return _BYTES + value
    return _NUMBER + _sortable(float(value)) + struct.pack(">H", _MIDDLE + _lacking(value))


def _sortable(number: float) -> bytes:
    """Eight bytes that sort as the number does."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", number + 0.0))  # there is one zero
    return struct.pack(">Q", bits ^ _ALL_BITS if bits & _SIGN_BIT else bits | _SIGN_BIT)


def _lacking(value: float) -> int:
    return value - int(float(value)) if isinstance(value, int) else 0


POSTGRESQL = Dialect(
    locking=" FOR NO KEY UPDATE",
    passing_over=" FOR NO KEY UPDATE SKIP LOCKED",
    time="to_char(to_timestamp(trunc({})) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
    listed="CAST(coalesce(json_agg({}), '[]') AS TEXT)",
    columns="SELECT table_name FROM information_schema.columns WHERE table_schema = current_schema AND column_name = ?",
    value=filed,
    of_text="(CAST('\\x02' AS BYTEA) || convert_to({}, 'UTF8'))",
    as_text="convert_from(substr({}, 2), 'UTF8') COLLATE \"C\"",
    first_text="CAST('\\x02' AS BYTEA)",
    first_bytes="CAST('\\x03' AS BYTEA)",
    containing="strpos({0}, {1}) > 0",
    like="lower({0}) LIKE lower({1} COLLATE \"C\") ESCAPE '!'",
)
