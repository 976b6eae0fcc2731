"""A point in time as a log has it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(seconds: int, nanos: int = 0) -> datetime:
    """Unix time as a date in UTC, to the microsecond. A time that no calendar has is the first or the last one."""
    try:
        return _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
    except OverflowError:
        edge = datetime.min if seconds < 0 else datetime.max
        return edge.replace(tzinfo=UTC)
