"""Lines to compressed batches and back.

Body of a batch: one byte that says the form, then zlib data. Form 0: the lines in UTF-8, joined by a line feed.
Form 1, when a line itself contains a line feed: a JSON list of the lines. Lone surrogates, which a client may send
as JSON escapes, survive in both (`surrogatepass`, and JSON's own escapes).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence

from backhaul.depot.model import Batch

LONGEST_BATCH = 2048
"""Lines. Small enough to be read for one page of rows, large enough to compress well."""

_LARGEST_BATCH = 1 << 20  # bytes of text, unless a single line is larger
_LEVEL = 1  # 2.6 times as fast as the default for a few per cent of size
_JOINED, _LISTED = 0, 1


def pack(first: int, content: Sequence[str | None]) -> list[Batch]:
    """The batches for `content`, whose first line has the number `first`. A None is a line that is not there."""
    return [_batch(number, lines) for number, lines in _pieces(first, content)]


def unpack(body: bytes) -> list[str]:
    """The lines of a batch. Raises ValueError when the body is none."""
    try:
        data = zlib.decompress(memoryview(body)[1:])
    except zlib.error as error:
        raise ValueError(f"damaged batch: {error}") from error
    if body[0] == _JOINED:
        return data.decode("utf-8", "surrogatepass").split("\n")
    lines: list[str] = json.loads(data)
    return lines


def _batch(first: int, lines: list[str]) -> Batch:
    joined = "\n".join(lines)
    if joined.count("\n") == len(lines) - 1:
        form, data = _JOINED, joined.encode("utf-8", "surrogatepass")
    else:
        form, data = _LISTED, json.dumps(lines).encode()
    return Batch(first, len(lines), len(data), bytes((form,)) + zlib.compress(data, _LEVEL))


def _pieces(first: int, content: Sequence[str | None]) -> Iterator[tuple[int, list[str]]]:
    """Cuts at holes, after `LONGEST_BATCH` lines, and before a batch grows past `_LARGEST_BATCH`."""
    piece: list[str] = []
    size = 0
    for number, line in enumerate(content, first):
        full = len(piece) == LONGEST_BATCH or (piece and line is not None and size + len(line) > _LARGEST_BATCH)
        if piece and (line is None or full):
            yield number - len(piece), piece
            piece, size = [], 0
        if line is not None:
            piece.append(line)
            size += len(line)
    if piece:
        yield first + len(content) - len(piece), piece
