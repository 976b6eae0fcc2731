"""Whether it is worth asking a host: after several failures in a row one request at a time finds out.

Without it each of many runs would try a dead server by itself, as often as its own patience allows.
"""

from __future__ import annotations

from dataclasses import dataclass

from backhaul.errors import BackhaulError

FAILURES_UNTIL_OPEN = 5
_LONGEST_WAIT = 60.0
# How soon those who may not ask come back while somebody else's probe is on its way.
_WHILE_PROBING = 1.0


@dataclass(slots=True)
class Circuit:
    """The state of one host. Times are seconds of one steady clock, `chance` a random number in [0, 1)."""

    _failures: int = 0
    _last: BackhaulError | None = None
    _closed_until: float = 0.0
    _probing: bool = False

    def refusal(self, now: float, chance: float) -> BackhaulError | None:
        """The last failure again, with the time to wait, if nobody may ask now; None for one who may.

        Who may ask has to tell how it went: `reached`, `failed` or `left`.
        """
        if self._last is None or self._failures < FAILURES_UNTIL_OPEN:
            return None
        if self._probing or now < self._closed_until:
            wait = max(self._closed_until - now, _WHILE_PROBING) + chance
            return type(self._last)(self._last.message, safe=self._last.safe, next=self._last.next, retry_after=wait)
        self._probing = True
        return None

    def reached(self) -> None:
        """The host answered."""
        self._failures, self._last, self._probing = 0, None, False

    def failed(self, error: BackhaulError, now: float, chance: float) -> None:
        """The host did not answer, or somebody before it answered that it is away."""
        self._failures += 1
        self._last, self._probing = error, False
        steps = max(0, self._failures - FAILURES_UNTIL_OPEN)
        wait = (0.5 + chance / 2) * min(_LONGEST_WAIT, 2.0 ** min(steps, 20))
        self._closed_until = now + (wait if error.retry_after is None else min(error.retry_after, _LONGEST_WAIT))

    def left(self) -> None:
        """Who asked has gone before there was an answer: nothing is known."""
        self._probing = False
