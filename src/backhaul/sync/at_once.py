"""How much may be on its way at one time: what hides the waiting, and no more than this machine has room for."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# A run waits for the network most of the time: over a round trip of 50 ms so many keep a core at work.
MOST_RUNS = 128
# The files of a run go together, and more of them at once only helps a run that is alone.
_CONNECTIONS_PER_RUN = 2
# A run needs its ledger, its log, its connections and what it sends over one of them; the rest is the process's own.
_DESCRIPTORS_PER_RUN = 5
_DESCRIPTORS_OF_OUR_OWN = 60


def runs_at_once(most: int = MOST_RUNS) -> int:
    """How many runs may be on their way; fewer than `most` where the process may open few files."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return most
    return max(1, min(most, (allowed - _DESCRIPTORS_OF_OUR_OWN) // _DESCRIPTORS_PER_RUN))


def connections_at_once() -> int:
    """How many connections may be open; so many as keep the runs from waiting for one another."""
    return _CONNECTIONS_PER_RUN * runs_at_once()


class Budget:
    """Something of which `total` is there: who wants some waits until so much of it is free."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._free = total
        self._waiting: list[asyncio.Future[None]] = []

    @asynccontextmanager
    async def hold(self, amount: int) -> AsyncIterator[None]:
        """Hold `amount` of it, at most all, for as long as the block lasts. Who wants little may overtake others."""
        amount = min(amount, self._total)
        while self._free < amount:
            freed = asyncio.get_running_loop().create_future()
            self._waiting.append(freed)
            await freed
        self._free -= amount
        try:
            yield
        finally:
            self._free += amount
            waiting, self._waiting = self._waiting, []
            for freed in waiting:
                if not freed.done():
                    freed.set_result(None)
