"""Blobs that nothing names any more, and that still stay for a minute: somebody may be about to open them.

Each process keeps those that it removed itself. The sweep finds what a process took with it when it ended.
"""

from __future__ import annotations

from collections import deque

from backhaul.depot.store.interface import Clock

GRACE = 60.0
"""Seconds between the moment when nothing names a blob any more, and its end."""

_MOST = 100_000  # blobs; the sweep finds those that are forgotten


class Leaving:
    """The removed blobs in their order. Safe to use from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: deque[tuple[float, str]] = deque(maxlen=_MOST)

    def add(self, name: str) -> None:
        """A blob is needed no longer."""
        self._waiting.append((self._clock(), name))

    def due(self) -> list[str]:
        """Those whose time has come; they are told of once."""
        found = []
        while self._waiting and self._clock() - self._waiting[0][0] >= GRACE:
            found.append(self._waiting.popleft()[1])
        return found
