"""The detour around a bad chunk: where the next true one starts, and what the bad one is called."""

from __future__ import annotations

from backhaul.wandblog import salvage
from backhaul.wandblog.chunk import BLOCK_SIZE, CHUNK_HEADER_SIZE, is_true_chunk
from backhaul.wandblog.damage import DamageKind
from backhaul.wandblog.grid import Grid
from backhaul.wandblog.window import LOOKAHEAD, Window

# A crafted file could have a bad chunk every few bytes, each with a length that asks for 32 KiB of checksums. So many
# in one block are looked at one by one; the rest of that block is then passed over.
_MOST_BAD_CHUNKS_PER_BLOCK = 100


class Detour:
    """Leads from each place of a file where no true chunk starts to the next one, from front to back.

    `grid` says where blocks end, and is told where a trailer shows it.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._salvage = salvage.Search()
        self._bad_block = self._bad_chunks = 0

    @property
    def effort(self) -> tuple[int, int, int, int]:
        """The last block with a bad chunk, and how many it had; the last block that was searched, and its budget."""
        return self._bad_block, self._bad_chunks, self._salvage.block, self._salvage.budget

    @effort.setter
    def effort(self, effort: tuple[int, ...]) -> None:
        self._bad_block, self._bad_chunks, self._salvage.block, self._salvage.budget = effort

    def is_worth_a_look(self, offset: int) -> bool:
        """Whether the bad chunk at `offset` is looked at by itself; False in a block that has too many of them."""
        block = offset // BLOCK_SIZE
        if block != self._bad_block:
            self._bad_block, self._bad_chunks = block, 0
        self._bad_chunks += 1
        return self._bad_chunks <= _MOST_BAD_CHUNKS_PER_BLOCK

    def behind_block(self, window: Window, position: int) -> int:
        """Where the first true chunk behind the block of `position` starts."""
        behind = min(position + BLOCK_SIZE - (window.offset + position) % BLOCK_SIZE, len(window))
        return self.behind(window, behind - 1)

    def behind(self, window: Window, position: int) -> int:
        """Where the first true chunk behind `position` starts; if none does, up to where there was a look."""
        stop = max(position + 1, len(window) if window.at_end else len(window) - LOOKAHEAD)
        start = max(position + 1, salvage.end_of_zeros(window.data, position) - CHUNK_HEADER_SIZE)
        found = self._salvage.next_true_chunk(window.data, start, stop, window.offset)
        return stop if found is None else found

    def trailer(self, window: Window, position: int) -> int:
        """The length of the zero fill at a block's end that starts at `position`; 0 when it is something else."""
        data = window.data
        room = self._grid.room(window.offset + position)
        if room < CHUNK_HEADER_SIZE and not any(data[position : position + room]):
            return room
        zeros = salvage.end_of_zeros(data[position : position + CHUNK_HEADER_SIZE], 0)
        for length in range(1, min(zeros, CHUNK_HEADER_SIZE - 1) + 1):
            if is_true_chunk(data, position + length, len(data)):
                self._grid.learn(window.offset + position + length)
                return length
        return 0

    def diagnosis(self, window: Window, position: int) -> tuple[DamageKind, int]:
        """Why no true chunk starts at `position`, and where the next one does."""
        data = window.data
        limit = position + self._grid.room(window.offset + position)
        kind = salvage.classify(data, position, limit, at_end=window.at_end)
        resume = None if kind is DamageKind.ZEROED else salvage.by_own_length(data, position, min(limit, len(data)))
        if resume is None:
            resume = self.behind(window, position)
        # What looks like a chunk that the file's end cuts off may be one whose length is hurt.
        if kind is DamageKind.TORN and (resume < len(data) or salvage.mended_type(data, position, resume) is not None):
            kind = DamageKind.BAD_LENGTH
        return kind, resume
