"""A server that says how much it allows is never asked for more: simulated on a clock of the test's own."""

from __future__ import annotations

import pytest

from backhaul.wire.allowance import Allowance


class _Server:
    """Allows `limit` requests in each `window` seconds; the headers say so. Counts those it has to refuse."""

    def __init__(self, limit: int, window: float) -> None:
        self.limit, self.window = limit, window
        self.began, self.used, self.refused = 0.0, 0, 0

    def ask(self, now: float) -> dict[str, str]:
        """One request; the headers of its answer."""
        if now >= self.began + self.window:
            self.began, self.used = now, 0
        self.used += 1
        self.refused += self.used > self.limit
        left = max(0, self.limit - self.used)
        reset = self.began + self.window - now
        return {"ratelimit-limit": f"{self.limit}", "ratelimit-remaining": f"{left}", "ratelimit-reset": f"{reset}"}


@pytest.mark.parametrize(("limit", "window"), [(10, 2.0), (60, 60.0), (200, 60.0), (1, 1.0)])
def test_a_client_in_a_hurry_is_never_refused(limit: int, window: float) -> None:
    """It asks as fast as it may, for many windows; and it does not stand idle: it gets nearly all that is allowed."""
    server, allowance, now, asked = _Server(limit, window), Allowance(), 0.0, 0
    while now < 10 * window:
        now += allowance.take(now) + 0.001
        allowance.told(server.ask(now), now, None)
        asked += 1
    assert server.refused == 0
    assert asked >= 10 * limit * 0.8


def test_requests_under_way_are_counted() -> None:
    """Eight go out together when five are left: the last three wait for the next window."""
    allowance = Allowance()
    allowance.take(0.0)
    allowance.told({"ratelimit-limit": "5", "ratelimit-remaining": "5", "ratelimit-reset": "10"}, 0.0, None)
    waits = [allowance.take(0.0) for _ in range(8)]
    assert waits[:4] == [0.0] * 4
    assert sum(wait >= 10.0 for wait in waits) == 3


def test_a_refusal_holds_back_everybody_until_its_retry_after() -> None:
    """What one run was told holds for the others."""
    allowance = Allowance()
    allowance.take(0.0)
    allowance.told({}, 0.0, 30.0)
    assert allowance.take(1.0) == 29.0
    assert allowance.take(30.0) == 0.0


@pytest.mark.parametrize(
    "headers", [{}, {"ratelimit-remaining": "x", "ratelimit-reset": "5"}, {"ratelimit-limit": "5"}]
)
def test_without_readable_headers_nothing_is_held_back(headers: dict[str, str]) -> None:
    """Most servers say nothing."""
    allowance = Allowance()
    allowance.take(0.0)
    allowance.told(headers, 0.0, None)
    assert [allowance.take(0.0) for _ in range(100)] == [0.0] * 100
