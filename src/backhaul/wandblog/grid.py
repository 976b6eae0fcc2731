"""Where the block grid of a log starts."""

from __future__ import annotations

from typing import BinaryIO

from backhaul.wandblog.chunk import BLOCK_SIZE, FILE_HEADER, is_true_chunk

# Counted from the file's first byte, as all writers do but the Go writer before SDK 0.17.6, which left the header out.
ALIGNED, MISALIGNED = 0, len(FILE_HEADER)

_BLOCKS_TO_TRY = 8


class Grid:
    """The block grid of a file, as far as it is known: whoever meets a block's end says so.

    `base` is where it starts, modulo the block size.
    """

    def __init__(self, base: int) -> None:
        self.base = base

    def learn(self, end: int) -> None:
        """A block ends, and the next one starts, at offset `end`."""
        self.base = end % BLOCK_SIZE

    def room(self, offset: int) -> int:
        """Bytes from `offset` to the end of its block, 1 to the block size."""
        return BLOCK_SIZE - (offset - self.base) % BLOCK_SIZE


def grid_base(file: BinaryIO) -> int:
    """Where the block grid starts: `ALIGNED` (0), or `MISALIGNED` (7) for the Go writer before SDK 0.17.6.

    Decided by the first block after block 0 that starts with a true chunk under one of the two; a file shorter than a
    block is the same under both. Seven bytes before a block's end there may be an empty chunk, at its start never: so
    where both are true the later one is.
    """
    for block in range(1, _BLOCKS_TO_TRY + 1):
        file.seek(block * BLOCK_SIZE)
        window = file.read(BLOCK_SIZE + MISALIGNED)
        if not window:
            break
        for base in (MISALIGNED, ALIGNED):
            if is_true_chunk(window, base, len(window)):
                return base
    return ALIGNED
