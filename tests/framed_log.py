"""A whole log around given bytes, as the writer makes it."""

from __future__ import annotations

import io

from backhaul.wandblog.writer import LogWriter


def framed(*records: bytes) -> bytearray:
    """The log of these records, which a test may hurt."""
    file = io.BytesIO()
    writer = LogWriter(file)
    for data in records:
        writer.write(data)
    return bytearray(file.getvalue())
