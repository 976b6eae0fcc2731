"""Lines to compressed batches and back.

Body of a batch: one byte that says the form, then zlib data. Form 0: the lines in UTF-8, joined by a line feed.
Form 1, when a line itself contains a line feed: a JSON list of the lines. Lone surrogates, which a client may send
as JSON escapes, survive in both (`surrogatepass`, and JSON's own escapes).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from isal import isal_zlib

from backhaul.depot.model import Batch

LONGEST_BATCH = 2048
"""Lines. Small enough to be read for one page of rows, large enough to compress well."""

JOIN_BELOW = 64 * 1024
"""Bytes of text. A live run posts a few lines every 15 s; such crumbs are joined until they are as big."""

_LARGEST_BATCH = 1 << 20  # bytes of text, unless a single line is larger
_LEVEL = 1  # ISA-L's zlib data are as small as zlib's own at level 2, and come 3.5 times as fast
_JOINED, _LISTED = 0, 1


def pack(first: int, content: Sequence[str | None]) -> list[Batch]:
    """The batches for `content`, whose first line has the number `first`. A None is a line that is not there."""
    return [_batch(number, lines) for number, lines in _pieces(first, content)]


def unpack(body: bytes) -> list[str]:
    """The lines of a batch. Raises ValueError when the body is none."""
    try:
        data = isal_zlib.decompress(memoryview(body)[1:])
    except isal_zlib.error as error:  # type: ignore[misc]  # the stub calls this class an instance
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
    return Batch(first, len(lines), len(data), bytes((form,)) + isal_zlib.compress(data, _LEVEL))


def _pieces(first: int, content: Sequence[str | None]) -> Iterator[tuple[int, list[str]]]:
    """Cuts after `LONGEST_BATCH` lines, at holes, and before a batch grows past `_LARGEST_BATCH`."""
    for start in range(0, len(content), LONGEST_BATCH):
        part = content[start : start + LONGEST_BATCH]
        lines = [line for line in part if line is not None]
        if len(lines) == len(part) and sum(map(len, lines)) <= _LARGEST_BATCH:
            yield first + start, lines
        else:
            yield from _cut(first + start, part)


def _cut(first: int, content: Sequence[str | None]) -> Iterator[tuple[int, list[str]]]:
    piece: list[str] = []
    size = 0
    for number, line in enumerate(content, first):
        if piece and (line is None or size + len(line) > _LARGEST_BATCH):
            yield number - len(piece), piece
            piece, size = [], 0
        if line is not None:
            piece.append(line)
            size += len(line)
    if piece:
        yield first + len(content) - len(piece), piece
