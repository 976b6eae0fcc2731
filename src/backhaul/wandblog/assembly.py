"""Assembly: how chunks become records, and what is lost where they do not fit together."""

from __future__ import annotations

from backhaul.wandblog.chunk import CHUNK_HEADER_SIZE, FIRST, FULL, LAST, MIDDLE
from backhaul.wandblog.damage import DamageKind, DamageList
from backhaul.wandblog.grid import Grid
from backhaul.wandblog.raw import RawBatch


class Assembly:
    """Takes the true chunks of a file from front to back, and what is bad between them; `losses` is the damage so far.

    Parts of two records are never joined where a byte between them is bad. Where chunks end at a block's end, `grid`
    is told.
    """

    def __init__(self, grid: Grid) -> None:
        self.losses = DamageList()
        self._grid = grid
        self._parts: list[bytes] = []
        self._record_offset = 0

    @property
    def has_parts(self) -> bool:
        """Whether a record is begun and not ended."""
        return bool(self._parts)

    @property
    def is_idle(self) -> bool:
        """Whether the next chunk that is whole in itself is just one more record."""
        return not self._parts and self.losses.kind is None

    def join(self, kind: int, offset: int, payload: bytes, records: RawBatch) -> None:
        """Take the chunk at `offset`; a record that it completes goes into `records`.

        A chunk that does not continue what came before ends that as lost.
        """
        stop = offset + CHUNK_HEADER_SIZE + len(payload)
        if kind in (FIRST, MIDDLE):
            self._grid.learn(stop)
        if kind in (FULL, FIRST):
            if self._parts:
                self.lose(offset, DamageKind.ORPHAN)
            self.losses.close(offset)
            self._record_offset = offset
            if kind == FULL:
                records.add(offset, payload)
            else:
                self._parts = [payload]
        elif not self._parts:
            self.lose(offset, DamageKind.ORPHAN)
        else:
            self._parts.append(payload)
            if kind == LAST:
                records.add(self._record_offset, b"".join(self._parts))
                records.joined[self._record_offset] = stop
                self._parts = []

    def lose(self, offset: int, kind: DamageKind, kind_at_end: DamageKind | None = None) -> None:
        """From `offset` on, or from the record that is being put together, nothing can be read.

        `kind_at_end` is what it turns out to be when the file ends without another record.
        """
        self.losses.open(self._record_offset if self._parts else offset, kind, kind_at_end)
        self._parts = []

    def finish(self, offset: int, rest: bytes) -> None:
        """The file ends behind `rest`, fewer bytes than a chunk's header."""
        is_fill = not any(rest) and len(rest) <= self._grid.room(offset) < CHUNK_HEADER_SIZE
        if self._parts or (rest and not is_fill):
            self.lose(offset, DamageKind.TORN)
        self.losses.close(offset + len(rest), at_end=True)
