"""Counting lost records by their numbers: SDKs from 0.13 on number them 1, 2, 3… without gaps."""

from __future__ import annotations

# A log that is shuffled more than this is counted roughly rather than with memory without bound.
_MOST_GAPS = 10_000


class NumberGaps:
    """Takes the numbers of the records that were read, in file order; `missing` is how many are not there.

    Zero (the number of records before 0.13) is passed over. A number that comes late, because records were moved,
    fills its gap again.
    """

    def __init__(self) -> None:
        self.missing = 0
        self.last = 0
        self._gaps: list[tuple[int, int]] = []

    def take(self, number: int) -> None:
        """Take the next record's number."""
        if number <= 0:
            return
        if number > self.last:
            if number > self.last + 1:
                self._open(self.last + 1, number)
            self.last = number
        else:
            self._fill(number)

    def _open(self, first: int, stop: int) -> None:
        self.missing += stop - first
        if len(self._gaps) < _MOST_GAPS:
            self._gaps.append((first, stop))

    def _fill(self, number: int) -> None:
        for index, (first, stop) in enumerate(self._gaps):
            if first <= number < stop:
                self._gaps[index : index + 1] = [
                    gap for gap in ((first, number), (number + 1, stop)) if gap[0] < gap[1]
                ]
                self.missing -= 1
                return
