"""How often an address may show a wrong key.

A key of ours cannot be guessed; the bound keeps a mistaken or hostile client from making the depot busy, and would
hold if somebody one day let a weak key in.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from backhaul.depot.refusal import Refused

ALLOWED = 30
"""Wrong keys from one address in a row; after that one every `INTERVAL` seconds."""

INTERVAL = 2.0

_REMEMBERED = 4096  # addresses; the one that failed longest ago is forgotten first


class Attempts:
    """Counts failures by address. An address that is used up is told when to come again, whatever it shows."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._paid_until: OrderedDict[str, float] = OrderedDict()

    def check(self, address: str) -> None:
        """Returns only while the address may try. Refused with 429 otherwise."""
        with self._lock:
            ahead = self._paid_until.get(address, 0.0) - self._clock()
        if ahead > (ALLOWED - 1) * INTERVAL:
            raise Refused("too many wrong keys from this address; wait a few seconds", 429)

    def failed(self, address: str) -> None:
        """Notes a failure: each uses up `INTERVAL` seconds, of which `ALLOWED` may be ahead."""
        with self._lock:
            until = max(self._paid_until.pop(address, 0.0), self._clock())
            self._paid_until[address] = until + INTERVAL
            if len(self._paid_until) > _REMEMBERED:
                self._paid_until.popitem(last=False)
