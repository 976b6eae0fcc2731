"""Damage: a range of a log from which no record could be read, why, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class DamageKind(StrEnum):
    """Why a range of the file gave no record.

    `TORN`: the file ends inside a record. `ORPHAN`: fragments of a record whose other fragments are missing.
    `NUMBER_GAP`: records are missing by their numbers although every byte around reads well. `APPENDED`: bytes after
    the last record that were never part of a log. `SECOND_HEADER`: another log, or this one again, inside the file; its
    records are not given out as this run's. `REPEATED`: records that stand in the file a second time, byte for byte.
    `UNDECODABLE`: a record whose checksum holds and whose content is not a W&B record.
    """

    TORN = "torn"
    BAD_CHECKSUM = "bad checksum"
    BAD_LENGTH = "bad length"
    BAD_TYPE = "unknown chunk type"
    ORPHAN = "orphan fragment"
    ZEROED = "zeroed range"
    NUMBER_GAP = "gap in record numbers"
    APPENDED = "appended garbage"
    SECOND_HEADER = "second header"
    REPEATED = "repeated records"
    UNDECODABLE = "undecodable record"


@dataclass(frozen=True, slots=True)
class Damage:
    """A range of the file, in bytes from its start, from which no record was given out.

    `numbers` are the numbers of the records lost by it: an empty range when nothing is missing, None when that cannot
    be known (SDKs before 0.13 did not number records, and at the file's end nothing follows to compare with).
    """

    offset: int
    length: int
    kind: DamageKind
    numbers: range | None = None

    @property
    def end(self) -> int:
        """The first byte behind the range."""
        return self.offset + self.length

    @property
    def is_loss(self) -> bool:
        """Whether it cost, or may have cost, a record that once was whole in the file.

        A torn tail is no loss in this sense: its record never was whole. Nor are bytes that only are too many.
        """
        if self.numbers is not None:
            return len(self.numbers) > 0
        return self.kind not in (DamageKind.TORN, DamageKind.APPENDED, DamageKind.REPEATED)


# A file of nothing but damage must not fill the memory with its list: the last entry then stands for all the rest.
MOST_DAMAGES = 10_000


class DamageList:
    """The damage of a file in file order, put down while it is read from front to back.

    A loss is open from where it was met until reading goes on; `found` are those that are closed.
    """

    def __init__(self) -> None:
        self.found: list[Damage] = []
        self._open: tuple[int, DamageKind, DamageKind] | None = None

    @property
    def kind(self) -> DamageKind | None:
        """What the open loss is; None when nothing is being lost."""
        return self._open and self._open[1]

    def open(self, offset: int, kind: DamageKind, kind_at_end: DamageKind | None = None) -> None:
        """From `offset` on nothing is read; a loss that is open already goes on, as what it is.

        `kind_at_end` is what it turns out to be when the file ends without another record.
        """
        self._open = self._open or (offset, kind, kind_at_end or kind)

    def close(self, offset: int, *, at_end: bool = False) -> None:
        """At `offset` reading goes on, or the file ends."""
        if self._open and offset > self._open[0]:
            start, kind, kind_at_end = self._open
            self.add(Damage(start, offset - start, kind_at_end if at_end else kind))
        self._open = None

    def add(self, damage: Damage) -> None:
        """Put down a closed damage behind the others."""
        if len(self.found) >= MOST_DAMAGES:
            last = self.found.pop()
            damage = Damage(last.offset, damage.end - last.offset, last.kind)
        self.found.append(damage)


def _is_its_header(damage: Damage, other: Damage) -> bool:
    """Whether `damage` is the file header of the second log, or of the repeated records, that `other` is."""
    is_header = damage.kind is DamageKind.SECOND_HEADER and damage.end == other.offset
    return is_header and other.kind in (DamageKind.SECOND_HEADER, DamageKind.REPEATED)


def without_overlaps(damages: list[Damage], others: list[Damage]) -> list[Damage]:
    """Both in file order, without what lies inside one of `others`; the file header of a second log belongs to it."""
    merged: list[Damage] = []
    index = 0
    for other in others:
        while index < len(damages) and damages[index].offset < other.offset:
            merged.append(damages[index])
            index += 1
        if merged and _is_its_header(merged[-1], other):
            header = merged.pop()
            other = Damage(header.offset, other.end - header.offset, other.kind)
        while index < len(damages) and damages[index].offset < other.end:
            index += 1
        merged.append(other)
    return merged + damages[index:]
