"""Waiting for what another program brings about, where it gives no event to wait for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(look: Callable[[], Found], what: str, timeout: float = 120, every: float = 0.02) -> Found:
    """What `look` gives as soon as that is true; after `timeout` seconds it fails, and says `what` did not come about.

    `every` is the pause between two looks, in seconds.
    """
    end = time.monotonic() + timeout
    while not (found := look()):
        assert time.monotonic() < end, f"not within {timeout:g} s: {what}; the last look gave {found!r}"
        time.sleep(every)
    return found
