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

from backhaul.wandblog.damage import Damage, DamageKind, DamageList
from backhaul.wandblog.state import State, damages_of, plain_damages

# More gaps than a file that is of any use can have. Later ones count with the last, and none is filled any more.
MOST_GAPS = 10_000


class Place(Enum):
    """Where a record belongs.

    `OWN`: it is this log's. `SEEN`: its number was there before; `REPEATED`: it was there before, because the log is
    in the file a second time. `FOREIGN`: it is another log's.
    """

    OWN = auto()
    SEEN = auto()
    REPEATED = auto()
    FOREIGN = auto()


@dataclass(slots=True)
class _Gap:
    """Numbers that are missing between the records at two offsets."""

    after: int
    before: int
    numbers: range


class Numbering:
    """Follows the record numbers of one log.

    `expected` is the next number of this log (0 while records are not numbered).
    """

    def __init__(self) -> None:
        self.expected = 1
        self._gaps: list[_Gap] = []
        self._foreign = DamageList()
        self._foreign_from: int | None = None
        self._foreign_expected = 0
        self._repeated_below = 0

    def state(self) -> State:
        """What the numbers have told so far."""
        return {
            "expected": self.expected,
            "gaps": [[gap.after, gap.before, gap.numbers.start, gap.numbers.stop] for gap in self._gaps],
            "foreign": plain_damages(self._foreign.found),
            "foreign_from": self._foreign_from,
            "foreign_expected": self._foreign_expected,
            "repeated_below": self._repeated_below,
        }

    def restore(self, state: State) -> None:
        """Go on from a `state()`."""
        self.expected = state["expected"]
        self._gaps = [_Gap(after, before, range(*numbers)) for after, before, *numbers in state["gaps"]]
        self._foreign.found = damages_of(state["foreign"])
        self._foreign_from = state["foreign_from"]
        self._foreign_expected = state["foreign_expected"]
        self._repeated_below = state["repeated_below"]

    def place(
        self, offset: int, number: int, previous: int, *, is_header: bool = False, is_own_run: bool = False
    ) -> Place:
        """Where the record at `offset` belongs, whose number is not `watched` or which is a header.

        `previous` is the offset of the record before it; `is_own_run` says that it is this log's own run record.
        """
        if is_header and previous and not self._has_header_only:
            return self._enter_foreign(offset, number)
        if is_own_run and self._foreign_from is not None:
            return self._begin_again(offset, number)
        if self._foreign_from is not None:
            return self._after_foreign(offset, number, previous)
        if number and number == self._foreign_expected:
            return self._enter_foreign(offset, number)
        return self._own(offset, number, previous)

    @property
    def watched(self) -> int:
        """The number that needs no look from here; -1 when every record does."""
        return self.expected if self._foreign_from is None else -1

    @property
    def foreign(self) -> list[Damage]:
        """The ranges of the file that belong to another log, or to the head of this one again."""
        return self._foreign.found

    def lacks(self, number: int) -> bool:
        """Whether the record of this number is missing so far, while later ones were there."""
        index = self._gap_before(number)
        return index >= 0 and number in self._gaps[index].numbers

    def take_back(self, number: int) -> None:
        """The record of this number, the latest one, turned out not to be whole: as if it had not been there."""
        if number + 1 == self.expected:
            gap = self._gaps.pop() if self._gaps and self._gaps[-1].numbers.stop == number else None
            self.expected = gap.numbers.start if gap else number

    def finish(self, size: int) -> None:
        """There are no more records; the file has `size` bytes."""
        self._leave_foreign(size, DamageKind.SECOND_HEADER)

    def explain(self, damages: list[Damage], last_offset: int) -> Iterator[Damage]:
        """The damages, each with the numbers lost by it, and one more for each gap that no damage explains.

        `last_offset` is where the last numbered record lies: what is behind it cannot be known.
        """
        gaps, starts = self._gaps, [gap.after for gap in self._gaps]
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
            return Place.OWN if self._fill(number) else self._again(number)
        self._miss(previous, offset, range(self.expected or 1, number))
        self.expected = number + 1
        return Place.OWN

    def _again(self, number: int) -> Place:
        return Place.REPEATED if number < self._repeated_below else Place.SEEN

    def _miss(self, after: int, before: int, numbers: range) -> None:
        if not numbers:
            return
        if len(self._gaps) >= MOST_GAPS:
            last = self._gaps.pop()
            after, numbers = last.after, range(numbers.start - len(last.numbers), numbers.stop)
        self._gaps.append(_Gap(after, before, numbers))

    def _fill(self, number: int) -> bool:
        """A missing record turned up after all, later in the file than it should be."""
        if not self.lacks(number):
            return False
        index = self._gap_before(number)
        if len(self._gaps) < MOST_GAPS:
            gap = self._gaps[index]
            self._gaps[index : index + 1] = [
                replace(gap, numbers=numbers)
                for numbers in (range(gap.numbers.start, number), range(number + 1, gap.numbers.stop))
                if numbers
            ]
        return True

    def _gap_before(self, number: int) -> int:
        return bisect_right(self._gaps, number, key=lambda gap: gap.numbers.start) - 1

    @property
    def _has_header_only(self) -> bool:
        """Whether nothing but a header was there so far: another one then begins the log anew."""
        return self.expected == 2 and not self._gaps

    def _begin_again(self, offset: int, number: int) -> Place:
        """What looked like another log is this one, in the file a second time, whole or a page of it."""
        self._leave_foreign(offset, DamageKind.REPEATED)
        self._foreign_expected, self._repeated_below = 0, self.expected
        return self._again(number)

    def _enter_foreign(self, offset: int, number: int) -> Place:
        if self._foreign_from is None:
            self._foreign_from = offset
        self._foreign_expected = number + 1 if number else 0
        return Place.FOREIGN

    def _after_foreign(self, offset: int, number: int, previous: int) -> Place:
        """Between two logs in one file: the number says which one goes on; where it may be both, the one at hand."""
        ahead, ahead_foreign = number - self.expected, number - self._foreign_expected
        if ahead < 0 or 0 <= ahead_foreign <= ahead:
            return self._enter_foreign(offset, number)
        self._leave_foreign(offset, DamageKind.SECOND_HEADER)
        return self._own(offset, number, previous)

    def _leave_foreign(self, offset: int, kind: DamageKind) -> None:
        if self._foreign_from is not None:
            self._foreign.add(Damage(self._foreign_from, offset - self._foreign_from, kind))
        self._foreign_from = None
