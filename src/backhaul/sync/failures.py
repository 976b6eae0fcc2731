"""A server that fails at one request again and again while it takes others: the request is the cause, no outage."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from backhaul.errors import BackhaulError, RefusedError, ServerUnavailable
from backhaul.sync.retry import Retrier

Answer = TypeVar("Answer")
_TRIES = 3


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


async def answer_or_failure(
    retrier: Retrier, request: Callable[[], Awaitable[Answer]], sign_of_life: Callable[[], Awaitable[object]]
) -> Answer | BackhaulError:
    """The answer to a request that the run can do without; else why it is refused, or how the server fails at it.

    To tell that from an outage, a server that fails is asked for a `sign_of_life`, which it gave before, for as long as
    there is patience; then it is asked once more.
    """
    answer = await _answer_or_failure(retrier, request, _TRIES)
    if isinstance(answer, ServerUnavailable):
        with suppress(RefusedError):
            await retrier.run(sign_of_life)
        answer = await _answer_or_failure(retrier, request, 1)
    return answer


async def _answer_or_failure(
    retrier: Retrier, request: Callable[[], Awaitable[Answer]], tries: int
) -> Answer | BackhaulError:
    try:
        return await retrier.run(request, Failures(tries).are_enough)
    except RefusedError as error:
        return error
    except ServerUnavailable as error:
        if not is_failure(error):
            raise
        return error
