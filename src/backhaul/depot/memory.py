"""Remembering what was computed, for the things that were asked last."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Memory(Generic[K, V]):
    """Values that together weigh at most `limit`; the one not used for longest goes first. Safe in any thread.

    Without `weigh`, every value weighs one. Two threads that miss at once both compute: a lock held meanwhile would
    make everybody else wait.
    """

    def __init__(self, limit: int, weigh: Callable[[V], int] = lambda _value: 1) -> None:
        self._limit = limit
        self._weigh = weigh
        self._weight = 0
        self._values: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def remembered(self, key: K) -> V | None:
        """The value remembered under `key`."""
        with self._lock:
            return self._values.get(key)

    def get(self, key: K, compute: Callable[[], V]) -> V:
        """The value remembered under `key`, or the one computed now. What `compute` raises is not remembered."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = compute()
        with self._lock:
            if key not in self._values:
                self._values[key] = value
                self._weight += self._weigh(value)
            while self._weight > self._limit and self._values:
                _, dropped = self._values.popitem(last=False)
                self._weight -= self._weigh(dropped)
        return value
