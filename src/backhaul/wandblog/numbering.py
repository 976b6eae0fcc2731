"""Numbering: what the records' own numbers tell about records that are missing, repeated, or of another log.

From SDK 0.13 on a writer numbers its records 1, 2, 3… without a gap; before, the number is 0. So a gap means that
records are lost even where every byte around reads well, and says how many. A number that was there before means a page
of the file twice, or a second log in it, which begins with a header record of its own.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto

from backhaul.wandblog.damage import Damage, DamageKind

# More gaps than a file that is of any use can have; later ones are counted with the last.
_MOST_GAPS = 10_000


class Place(Enum):
    """Where a record belongs."""

    OWN = auto()
    SEEN = auto()
    FOREIGN = auto()


@dataclass(slots=True)
class _Gap:
    """Numbers that are missing between the records at two offsets."""

    after: int
    before: int
    numbers: range


class Numbering:
    """Follows the record numbers of one log.

    `expected` is the next number of this log (0 while records are not numbered), `foreign` the ranges of the file that
    belong to another one.
    """

    def __init__(self) -> None:
        self.expected = 1
        self._gaps: list[_Gap] = []
        self._foreign_expected: int | None = None
        self._in_foreign = False
        self._foreign_from = 0
        self.foreign: list[Damage] = []

    def place(self, offset: int, number: int, previous: int, *, is_header: bool) -> Place:
        """Where the record at `offset` belongs, whose number is not `expected` or which is a header.

        `previous` is the offset of the record before it.
        """
        if is_header and previous:
            return self._enter_foreign(offset, number)
        if self._in_foreign:
            return self._after_foreign(offset, number, previous)
        if number == self._foreign_expected and number:
            return self._enter_foreign(offset, number)
        return self._own(offset, number, previous)

    @property
    def watched(self) -> int:
        """The number that needs no look from here; -1 when every record does."""
        return -1 if self._in_foreign else self.expected

    def take_back(self, number: int) -> None:
        """The record of this number, the latest one, turned out not to be whole."""
        self.expected = number

    def finish(self, size: int) -> None:
        """There are no more records; the file has `size` bytes."""
        self._leave_foreign(size)

    def explain(self, damages: list[Damage], last_offset: int) -> Iterator[Damage]:
        """The damages, each with the numbers lost by it, and one more for each gap that no damage explains.

        `last_offset` is where the last numbered record lies: what is behind it cannot be known.
        """
        gaps = [gap for gap in self._gaps if gap.numbers]
        starts = [gap.after for gap in gaps]
        explained: set[int] = set()
        for damage in damages:
            index = bisect_right(starts, damage.offset) - 1
            if damage.numbers is not None or not self.expected or damage.offset >= last_offset:
                yield damage
            elif index >= 0 and damage.offset < gaps[index].before:
                yield replace(damage, numbers=range(0) if index in explained else gaps[index].numbers)
                explained.add(index)
            else:
                yield replace(damage, numbers=range(0))
        for index, gap in enumerate(gaps):
            if index not in explained:
                yield Damage(gap.before, 0, DamageKind.NUMBER_GAP, gap.numbers)

    def _own(self, offset: int, number: int, previous: int) -> Place:
        if not number:
            # Not numbered at all, unless earlier records were: then it is taken as it comes.
            self.expected = 0 if self.expected <= 1 else self.expected
            return Place.OWN
        if number < self.expected:
            return Place.OWN if self._fill(number) else Place.SEEN
        if number > self.expected:
            self._miss(previous, offset, range(self.expected or 1, number))
        self.expected = number + 1
        return Place.OWN

    def _miss(self, after: int, before: int, numbers: range) -> None:
        if len(self._gaps) >= _MOST_GAPS:
            last = self._gaps.pop()
            after, numbers = last.after, range(numbers.start - len(last.numbers), numbers.stop)
        self._gaps.append(_Gap(after, before, numbers))

    def _fill(self, number: int) -> bool:
        """A missing record turned up after all, later in the file than it should be."""
        index = bisect_right(self._gaps, number, key=lambda gap: gap.numbers.start) - 1
        if index < 0 or number not in self._gaps[index].numbers:
            return False
        gap = self._gaps[index]
        self._gaps[index : index + 1] = [
            replace(gap, numbers=numbers)
            for numbers in (range(gap.numbers.start, number), range(number + 1, gap.numbers.stop))
            if numbers
        ]
        return True

    def _enter_foreign(self, offset: int, number: int) -> Place:
        if not self._in_foreign:
            self._foreign_from = offset
        self._in_foreign, self._foreign_expected = True, number + 1 if number else 0
        return Place.FOREIGN

    def _after_foreign(self, offset: int, number: int, previous: int) -> Place:
        """Between two logs in one file: the number says which one goes on."""
        assert self._foreign_expected is not None
        ahead, ahead_foreign = number - self.expected, number - self._foreign_expected
        if number == self._foreign_expected or ahead < 0 or 0 <= ahead_foreign < ahead:
            self._foreign_expected = number + 1 if number else 0
            return Place.FOREIGN
        self._leave_foreign(offset)
        return self._own(offset, number, previous)

    def _leave_foreign(self, offset: int) -> None:
        if self._in_foreign:
            self.foreign.append(Damage(self._foreign_from, offset - self._foreign_from, DamageKind.SECOND_HEADER))
        self._in_foreign = False
