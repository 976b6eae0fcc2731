"""One at a time: work on a thing that nobody else may do at the same time, within this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from backhaul.depot.refusal import Refused

_PATIENCE = 20.0  # seconds; less than any client waits for an answer


class Alone:
    """Who works on which of the things, by their numbers. `busy` is said to those who waited in vain."""

    def __init__(self, busy: str) -> None:
        self._words = busy
        self._busy: set[int] = set()
        self._changed = threading.Condition()

    @contextmanager
    def on(self, number: int) -> Iterator[None]:
        """Waits until nobody else is on it. Refused with 503 when that takes long."""
        with self._changed:
            if not self._changed.wait_for(lambda: number not in self._busy, _PATIENCE):
                raise Refused(self._words, 503)
            self._busy.add(number)
        try:
            yield
        finally:
            with self._changed:
                self._busy.discard(number)
                self._changed.notify_all()
