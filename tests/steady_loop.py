"""An event loop whose clock does not see when this machine lets it wait: for tests of limits on what others take.

Where client and server of a test live in one loop, a pause of the whole process is a silence of neither.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

# So many seconds pass between two looks at what came, at most.
_STEP = 0.02


class _Looking(selectors.DefaultSelector):
    """Waits no longer than a step."""

    def select(self, timeout: float | None = None) -> list[Any]:
        return super().select(_STEP if timeout is None else min(timeout, _STEP))


class _SteadyLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._seen, self._passed = time.monotonic(), 0.0
        super().__init__(_Looking())

    def time(self) -> float:
        now = time.monotonic()
        self._passed += min(now - self._seen, _STEP)
        self._seen = now
        return self._passed


def run_steadily(work: Coroutine[Any, Any, Result]) -> Result:
    """As `asyncio.run`; a second in it is a second in which it could work."""
    with asyncio.Runner(loop_factory=_SteadyLoop) as runner:
        return runner.run(work)
