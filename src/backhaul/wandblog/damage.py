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
