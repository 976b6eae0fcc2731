"""Whether the way to a server is open. A dead line is found out by probes, and costs no run an attempt."""

from __future__ import annotations

from dataclasses import dataclass

from backhaul.errors import BackhaulError
from backhaul.sync.retry import Patience
from backhaul.unattended.queue.decision import PATIENCE, Try, wait

# Seconds for which an answer of the server speaks for the next one.
_GOOD_FOR = 60.0
_PATIENCE = Patience(PATIENCE.unreachable, PATIENCE.in_trouble, base=2.0, longest_wait=300.0)


@dataclass(slots=True)
class Line:
    """The way to one server. Times are Unix seconds.

    `error` is why it is closed, None when it is open as far as is known; `since` is when that began, `until` when it is
    worth asking again.
    """

    error: BackhaulError | None = None
    since: float = 0.0
    until: float = 0.0
    _failures: int = 0
    _good_until: float = 0.0

    def may_be_tried(self, now: float) -> bool:
        """Whether it is open, or closed for so long that it is worth asking."""
        return self.error is None or now >= self.until

    def must_be_probed(self, now: float) -> bool:
        """Whether nothing is known of it that is new enough."""
        return self.error is not None or now >= self._good_until

    def reached(self, now: float) -> bool:
        """The server answered. True when the line was closed before."""
        reopened = self.error is not None
        if reopened:
            self.since = now
        self.error, self._failures, self._good_until = None, 0, now + _GOOD_FOR
        return reopened

    def failed(self, error: BackhaulError, now: float, chance: float) -> bool:
        """No run can get through, for `error`. True when the line was open before."""
        closed = self.error is None
        if closed:
            self.since = now
        self.until = now + wait(error, Try(self._failures, now, chance, _PATIENCE))
        self.error, self._failures = error, self._failures + 1
        return closed
