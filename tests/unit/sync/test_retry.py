"""Retrying: a pure decision, and one loop that obeys it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backhaul.errors import (
    BackhaulError,
    ConnectionLost,
    ConnectionRefused,
    CredentialsRefused,
    DeadlineReached,
    Forbidden,
    HostNotFound,
    RateLimited,
    ServerUnavailable,
    TimedOut,
)
from backhaul.sync.retry import Patience, Retrier, TryAgain, decide

_PATIENCE = Patience(unreachable=6, in_trouble=180, base=1, longest_wait=60)


def _decide(
    error: BackhaulError, attempt: int = 0, failing_for: float = 0, left: float | None = None, chance: float = 0.5
) -> TryAgain | None:
    return decide(error, attempt=attempt, failing_for=failing_for, left=left, patience=_PATIENCE, chance=chance)


@pytest.mark.parametrize(
    ("error", "attempt", "failing_for", "left", "expected"),
    [
        (ServerUnavailable("x"), 0, 0, None, 0.5),
        (ServerUnavailable("x"), 3, 0, None, 4.0),
        (ServerUnavailable("x"), 50, 0, None, 30.0),
        (ConnectionLost("x"), 3, 170, None, 4.0),
        (ConnectionLost("x"), 4, 175, None, None),
        (ConnectionRefused("x"), 2, 3, None, 2.0),
        (ConnectionRefused("x"), 3, 3, None, None),
        (HostNotFound("x"), 0, 5.9, None, None),
        (HostNotFound("x"), 9, 500, 600, 30.0),
        (RateLimited("x", retry_after=7), 0, 0, None, 7.0),
        (RateLimited("x", retry_after=0), 5, 0, None, 0.0),
        (RateLimited("x", retry_after=200), 0, 0, None, None),
        (RateLimited("x", retry_after=200), 0, 0, 300, 200.0),
        (RateLimited("x", retry_after=1e9), 0, 0, 1e8, 3600.0),
        (TimedOut("x"), 3, 0, 4.1, 4.0),
        (TimedOut("x"), 3, 0, 4.0, None),
        (Forbidden("x"), 0, 0, None, None),
        (CredentialsRefused("x"), 0, 0, 1000, None),
        (BackhaulError("x"), 0, 0, None, None),
    ],
)
def test_the_decision_is_a_table(
    error: BackhaulError, attempt: int, failing_for: float, left: float | None, expected: float | None
) -> None:
    """What is temporary is tried again while it may last; a server that is not there is given up within seconds."""
    decided = _decide(error, attempt, failing_for, left)
    assert (None if decided is None else decided.delay) == expected


@given(
    attempt=st.integers(0, 10_000),
    failing_for=st.floats(0, 1e6),
    chance=st.floats(0, 1, exclude_max=True),
    retry_after=st.none() | st.floats(0, 1e9),
    left=st.none() | st.floats(0, 1e6),
)
def test_a_wait_is_never_longer_than_allowed(
    attempt: int, failing_for: float, chance: float, retry_after: float | None, left: float | None
) -> None:
    """Not beyond the deadline, not beyond an hour, not beyond the longest wait unless the server asked for it."""
    error = ServerUnavailable("x", retry_after=retry_after)
    decided = _decide(error, attempt, failing_for, left, chance)
    if decided is None:
        return
    assert 0 <= decided.delay <= 3600
    assert left is None or decided.delay < left
    assert left is not None or failing_for + decided.delay <= 180
    if retry_after is None:
        assert decided.delay <= min(60, 2.0 ** min(attempt, 20))


@dataclass
class _World:
    """A clock that moves only when somebody waits."""

    now: float = 0.0
    waits: list[float] = field(default_factory=list)
    told: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def retrier(self, deadline: float | None = None) -> Retrier:
        return Retrier(
            _PATIENCE, deadline, lambda: self.now, self.sleep, lambda: 0.999, lambda _, age: self.told.append(age)
        )


def _failing(times: int, error: Callable[[], BackhaulError]) -> Callable[[], object]:
    left = iter(range(times))

    async def request() -> str:
        if next(left, None) is not None:
            raise error()
        return "done"

    return request


def test_a_request_is_tried_until_it_works_and_each_wait_is_told_with_its_age() -> None:
    """Waits double; the age counts from the first failure in a row."""
    world = _World()
    request = _failing(4, lambda: ServerUnavailable("x"))
    assert asyncio.run(world.retrier().run(request)) == "done"  # type: ignore[arg-type]
    assert world.waits == pytest.approx([0.999, 1.998, 3.996, 7.992])
    assert world.told == pytest.approx([0, 0.999, 2.997, 6.993])


def test_what_cannot_be_helped_by_waiting_is_raised_at_once() -> None:
    """The very error, with nothing waited for."""
    world = _World()
    with pytest.raises(Forbidden):
        asyncio.run(world.retrier().run(_failing(1, lambda: Forbidden("x"))))  # type: ignore[arg-type]
    assert world.waits == []


def test_a_server_that_is_not_there_is_given_up_within_seconds() -> None:
    """The last error is the one that is told."""
    world = _World()
    with pytest.raises(ConnectionRefused):
        asyncio.run(world.retrier().run(_failing(99, lambda: ConnectionRefused("x"))))  # type: ignore[arg-type]
    assert world.now <= 6


def test_a_deadline_replaces_every_other_patience() -> None:
    """Tried until the deadline, then told as what it is, with the last failure."""
    world = _World()
    with pytest.raises(DeadlineReached, match="nobody there"):
        asyncio.run(
            world.retrier(deadline=500).run(_failing(999, lambda: ConnectionRefused("nobody there")))  # type: ignore[arg-type]
        )
    assert 400 < world.now < 500


def test_after_the_deadline_nothing_is_asked() -> None:
    """Not even once."""
    asked: list[int] = []

    async def request() -> None:
        asked.append(1)

    with pytest.raises(DeadlineReached):
        asyncio.run(_World(now=10).retrier(deadline=10).run(request))
    assert asked == []


def test_a_request_that_hangs_ends_at_the_deadline() -> None:
    """The wait for an answer counts too."""
    with pytest.raises(DeadlineReached):
        asyncio.run(_World().retrier(deadline=0.05).run(asyncio.Event().wait))


def test_a_time_limit_inside_a_request_is_not_taken_for_the_deadline() -> None:
    """Only our own clock's end is the deadline."""

    async def request() -> None:
        raise TimeoutError("something of its own")

    with pytest.raises(TimeoutError, match="something of its own"):
        asyncio.run(_World().retrier(deadline=100).run(request))
