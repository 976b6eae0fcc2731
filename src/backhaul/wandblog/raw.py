"""Raw records: bytes that framing took out of a log, not looked into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from backhaul.wandblog.chunk import CHUNK_HEADER_SIZE


class RawRecord(NamedTuple):
    """A record's bytes as they stand in the log, and the file offset of its first chunk's header."""

    offset: int
    data: bytes


@dataclass(slots=True)
class RawBatch:
    """Records one behind the other: where each starts in the file, its bytes, and the end of those of several chunks.

    `joined` has the offsets of these, each with the offset behind the record's last chunk.
    """

    offsets: list[int] = field(default_factory=list)
    datas: list[bytes] = field(default_factory=list)
    joined: dict[int, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        return zip(self.offsets, self.datas, strict=True)

    def add(self, offset: int, data: bytes) -> None:
        """Put one more record behind the others."""
        self.offsets.append(offset)
        self.datas.append(data)

    def end_of(self, offset: int, data: bytes) -> int:
        """The offset behind the record that starts at `offset` and has these bytes."""
        return self.joined.get(offset, offset + CHUNK_HEADER_SIZE + len(data))
