"""When a request is tried again, and when to stop: the one layer that retries.

Waits grow exponentially with full jitter; a server's `Retry-After` is honoured, up to an hour. A server that cannot be
reached at all is told of within seconds; one that answers and is in trouble is given minutes. With a deadline,
everything transient is tried until then.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from backhaul.errors import (
    BackhaulError,
    ConnectionRefused,
    DeadlineReached,
    HostNotFound,
    StorageUnreachable,
    TemporaryError,
)

Result = TypeVar("Result")

_NOT_THERE = (HostNotFound, ConnectionRefused, StorageUnreachable)
_LONGEST_RETRY_AFTER = 3600.0
_OVER = "The time that you allowed (--deadline) is over."


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: how long a server that is not there, and one that is in trouble, may stay so; how waits grow."""

    unreachable: float = 6.0
    in_trouble: float = 180.0
    base: float = 1.0
    longest_wait: float = 60.0


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The decision to wait `delay` seconds and send the same request again."""

    delay: float


def decide(
    error: BackhaulError,
    *,
    attempt: int,
    failing_for: float,
    left: float | None,
    patience: Patience,
    chance: float,
) -> TryAgain | None:
    """What to do after a failure: try again, or None to give up.

    `attempt` counts from 0, `failing_for` is the age of the first failure in a row, `left` the seconds until the
    deadline (None: there is none), `chance` a random number in [0, 1).
    """
    if not isinstance(error, TemporaryError):
        return None
    delay = chance * min(patience.longest_wait, patience.base * 2 ** min(attempt, 20))
    if error.retry_after is not None:
        delay = min(error.retry_after, _LONGEST_RETRY_AFTER)
    if left is not None:
        return TryAgain(delay) if delay < left else None
    limit = patience.unreachable if isinstance(error, _NOT_THERE) else patience.in_trouble
    return TryAgain(delay) if failing_for + delay <= limit else None


def _nobody_listens(error: BackhaulError, failing_for: float) -> None:
    """Nothing is told of a wait."""


def _never(_: BackhaulError) -> bool:
    """There is always another try."""
    return False


@dataclass(slots=True)
class Retrier:
    """Carries requests through transient failures. `on_wait` is told the error and for how long it has lasted."""

    patience: Patience = field(default_factory=Patience)
    deadline: float | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    chance: Callable[[], float] = random.random
    on_wait: Callable[[BackhaulError, float], None] = _nobody_listens

    async def run(
        self, request: Callable[[], Awaitable[Result]], enough: Callable[[BackhaulError], bool] = _never
    ) -> Result:
        """Send until it succeeds. Raises the error that ended it, or DeadlineReached.

        `enough` is told each error; when it says so, that one is raised as it is.
        """
        attempt, first_failure = 0, 0.0
        while True:
            self._check_deadline()
            try:
                return await self._once(request)
            except BackhaulError as error:
                if enough(error):
                    raise
                now = self.clock()
                first_failure = first_failure if attempt else now
                decision = self._decide(error, attempt, now - first_failure, now)
                if decision is None:
                    raise self._final(error) from error
                self.on_wait(error, now - first_failure)
                attempt += 1
                await self.sleep(decision.delay)

    def _decide(self, error: BackhaulError, attempt: int, failing_for: float, now: float) -> TryAgain | None:
        return decide(
            error,
            attempt=attempt,
            failing_for=failing_for,
            left=None if self.deadline is None else self.deadline - now,
            patience=self.patience,
            chance=self.chance(),
        )

    async def _once(self, request: Callable[[], Awaitable[Result]]) -> Result:
        """Send once; the deadline ends even a request that hangs."""
        if self.deadline is None:
            return await request()
        limit = asyncio.timeout(self.deadline - self.clock())
        try:
            async with limit:
                return await request()
        except TimeoutError as error:
            if limit.expired():
                raise DeadlineReached(_OVER) from error
            raise

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and self.clock() >= self.deadline

    def _check_deadline(self) -> None:
        if self.is_over:
            raise DeadlineReached(_OVER)

    def _final(self, error: BackhaulError) -> BackhaulError:
        if self.deadline is not None and isinstance(error, TemporaryError):
            return DeadlineReached(f"The time that you allowed (--deadline) ends before the next try: {error.message}")
        return error
