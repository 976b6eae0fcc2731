"""For how long a worker may act on what it has in hand, told by its own clock alone.

A host that loses the network cannot ask the queue whether its runs are still its own. So it lets go of them by itself,
before the queue gives them to others; when the network is back, nothing of it is under way any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from backhaul.errors import RunBusy

# What is under way has to end before others begin: the last tenth of the lease is nobody's.
_OURS = 0.9


def awake_or_not() -> float:
    """Seconds of a clock that goes on while the machine sleeps, and that nobody sets (CLOCK_BOOTTIME)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(slots=True)
class Lease:
    """A lease of `seconds`, counted from when it was asked for: the queue gave it later, and ends it later."""

    seconds: float
    clock: Callable[[], float] = awake_or_not
    _until: float = float("-inf")

    def renewed(self, asked_at: float) -> None:
        """The queue has granted what it was asked for at `asked_at`."""
        self._until = max(self._until, asked_at + self.seconds * _OURS)

    @property
    def left(self) -> float:
        """Seconds until nothing may be done any more; negative when that was before."""
        return self._until - self.clock()

    def check(self) -> None:
        """Raises RunBusy when it is over."""
        if self.left <= 0:
            raise self.over()

    def over(self) -> RunBusy:
        """Why a run was let go of."""
        return RunBusy(
            f"The queue could not be reached for {self.seconds * _OURS:.0f} s: somebody else may have this run by now.",
            next="Nothing: whoever has it goes on where it stopped.",
        )
