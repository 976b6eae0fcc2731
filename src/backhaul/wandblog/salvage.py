"""Salvage: what is wrong with a chunk, and where the next true one starts.

A chunk is believed by its checksum alone. After a bad one, its own length is tried first, because nearly always only
the payload is hurt; then every byte that can be the start of a chunk. A chance match is one in 2³² per candidate.
"""

from __future__ import annotations

import re

from isal import isal_zlib

from backhaul.wandblog.chunk import (
    BLOCK_SIZE,
    CHUNK_HEADER,
    CHUNK_HEADER_SIZE,
    FILE_MAGIC,
    MAX_PAYLOAD,
    SEEDS,
    is_true_chunk,
)
from backhaul.wandblog.damage import DamageKind

ZERO_HEADER = bytes(CHUNK_HEADER_SIZE)

# A type byte behind the high byte of a length that fits into a block: all that a header shows without its checksum.
_TYPE_BYTE = re.compile(rb"(?<=[\x00-\x7f])[\x01-\x04]")
_TYPE_AT = CHUNK_HEADER_SIZE - 1
# A crafted block could ask for 512 MiB of checksums. Random bytes need 4 MiB; when this is spent, the rest of the block
# counts as lost.
_CHECKSUM_BYTES_PER_BLOCK = 8 << 20
_COST_OF_LOOKING = 1024


def classify(window: bytes, position: int, limit: int, *, at_end: bool) -> DamageKind:
    """Why no true chunk starts at `position`.

    A whole header lies there. `limit` is where its block ends; `at_end` says that the file ends with `window`.
    """
    if window.startswith(FILE_MAGIC, position):
        return DamageKind.SECOND_HEADER
    if window.startswith(ZERO_HEADER, position):
        return DamageKind.ZEROED
    _, length, kind = CHUNK_HEADER.unpack_from(window, position)
    stop = position + CHUNK_HEADER_SIZE + length
    if kind not in SEEDS:
        return DamageKind.BAD_TYPE
    if length <= MAX_PAYLOAD and at_end and stop > len(window):
        return DamageKind.TORN
    if stop > limit:
        return DamageKind.BAD_LENGTH
    return DamageKind.BAD_CHECKSUM


def by_own_length(window: bytes, position: int, limit: int) -> int | None:
    """Where the bad chunk at `position` says that the next one starts, if a true one does start there."""
    length: int
    _, length, _ = CHUNK_HEADER.unpack_from(window, position)
    stop = position + CHUNK_HEADER_SIZE + length
    if is_true_chunk(window, stop, len(window)):
        return stop
    # The rest of the block may be zero fill.
    if stop < limit < stop + CHUNK_HEADER_SIZE and is_true_chunk(window, limit, len(window)):
        return limit
    return None


class Search:
    """Looks for true chunks from front to back of one file, in time linear in its size, whatever the bytes are.

    In block number `block`, the last one that was searched, `budget` bytes of checksums may still be made.
    """

    def __init__(self) -> None:
        self.block = -1
        self.budget = 0

    def next_true_chunk(self, window: bytes, start: int, stop: int, offset: int) -> int | None:
        """The first position in ``[start, stop)`` at which a true chunk starts that lies wholly in `window`, or None.

        `window` lies at file offset `offset`.
        """
        while start < stop:
            block, inside = divmod(offset + start, BLOCK_SIZE)
            if block != self.block:
                self.block, self.budget = block, _CHECKSUM_BYTES_PER_BLOCK
            behind = min(start + BLOCK_SIZE - inside, stop)
            found = self._in_block(window, start, behind)
            if found is not None:
                return found
            start = behind
        return None

    def _in_block(self, window: bytes, start: int, stop: int) -> int | None:
        for match in _TYPE_BYTE.finditer(window, start + _TYPE_AT, min(stop + _TYPE_AT, len(window))):
            position = match.start() - _TYPE_AT
            length = window[position + 4] | window[position + 5] << 8
            self.budget -= length + _COST_OF_LOOKING
            if self.budget < 0:
                return None
            if is_true_chunk(window, position, len(window)):
                return position
        return None


def end_of_zeros(window: bytes, position: int) -> int:
    """The first position from `position` on that holds no zero byte, else the window's length."""
    return len(window) - len(window[position:].lstrip(b"\x00"))


def mended_type(window: bytes, position: int, stop: int) -> int | None:
    """The type of the chunk at `position` if it really ends at `stop`: its checksum decides; None: it does not hold.

    Length and type can be hurt while checksum and payload are whole; the checksum does not cover the length.
    """
    payload = position + CHUNK_HEADER_SIZE
    if not 0 <= stop - payload <= MAX_PAYLOAD:
        return None
    checksum, _, _ = CHUNK_HEADER.unpack_from(window, position)
    data = window[payload:stop]
    return next((kind for kind, seed in SEEDS.items() if isal_zlib.crc32(data, seed) == checksum), None)
