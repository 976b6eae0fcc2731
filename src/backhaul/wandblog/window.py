"""A window: the stretch of a file that is in memory while records are looked for in it."""

from __future__ import annotations

from dataclasses import dataclass

from backhaul.wandblog.chunk import CHUNK_HEADER_SIZE

# The longest form of a chunk that a header can ask for. Before the file's end a chunk is looked at only when so many
# bytes of it lie in the window.
LOOKAHEAD = CHUNK_HEADER_SIZE + 0xFFFF


@dataclass(frozen=True, slots=True)
class Window:
    """The bytes `data` that stand in the file at `offset`; `at_end` says that the file ends with them.

    Positions count from the window's start, offsets from the file's.
    """

    data: bytes
    offset: int
    at_end: bool

    def __len__(self) -> int:
        return len(self.data)
