"""How many requests a server still allows, by what it says in `RateLimit-Limit`, `-Remaining` and `-Reset`.

The headers are those of the IETF draft `ratelimit-headers-02`, which W&B sends: the reset is in seconds from now. While
plenty is left nothing is held back; the last quarter is spread over the time until the reset, so that the server has no
reason to refuse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_SPREAD_BELOW = 0.25
_LONGEST_WINDOW = 3600.0
_NUMBER = re.compile(r"\s*(\d+(?:\.\d+)?)")


@dataclass(slots=True)
class Allowance:
    """What is left for one door of one host: a bucket of tokens that the server fills. Times are of a steady clock."""

    _tokens: float = 0.0
    _limit: float = 0.0
    _fresh_at: float = 0.0
    _next: float = 0.0
    _under_way: int = 0

    def take(self, now: float) -> float:
        """Take leave to ask; how many seconds to wait before. `give_back` or `told` has to follow."""
        self._under_way += 1
        if now >= self._fresh_at:
            return 0.0
        if self._tokens > self._limit * _SPREAD_BELOW:
            self._tokens -= 1
            return 0.0
        if self._tokens < 1:
            return self._fresh_at - now
        slot = max(now, self._next)
        self._next = slot + max(0.0, self._fresh_at - slot) / self._tokens
        self._tokens -= 1
        return slot - now

    def give_back(self) -> None:
        """Nothing was asked."""
        self._under_way -= 1

    def told(self, headers: Mapping[str, str], now: float, retry_after: float | None) -> None:
        """An answer came. `retry_after` is given when it was a refusal for too many requests (429)."""
        self._under_way -= 1
        if retry_after is not None:
            self._tokens, self._fresh_at = 0.0, now + min(retry_after, _LONGEST_WINDOW)
            return
        remaining, reset = _number(headers, "remaining"), _number(headers, "reset")
        if remaining is None or reset is None:
            return
        # What is under way was not counted yet when the server wrote this.
        self._tokens = max(0.0, remaining - self._under_way)
        self._limit = _number(headers, "limit") or remaining
        self._fresh_at = now + min(reset, _LONGEST_WINDOW)
        if self._tokens > self._limit * _SPREAD_BELOW:
            self._next = now


def _number(headers: Mapping[str, str], name: str) -> float | None:
    found = _NUMBER.match(headers.get(f"ratelimit-{name}", ""))
    return float(found[1]) if found else None
