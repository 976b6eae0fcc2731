"""A server that fails at one request again and again while it takes others: the request is the cause, no outage."""

from __future__ import annotations

from dataclasses import dataclass

from backhaul.errors import BackhaulError, ServerUnavailable


@dataclass(slots=True)
class Failures:
    """Counts how often in a row a server fails at a request."""

    enough: int
    count: int = 0

    def are_enough(self, error: BackhaulError) -> bool:
        """Take one more error; whether the server has failed often enough."""
        self.count = self.count + 1 if is_failure(error) else 0
        return self.count >= self.enough


def is_failure(error: BackhaulError) -> bool:
    """Whether the server failed, and did not say for how long it will."""
    return isinstance(error, ServerUnavailable) and error.retry_after is None
