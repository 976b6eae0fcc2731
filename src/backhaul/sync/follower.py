"""Between two readings of a run that is still being recorded: wait for more, show the server that it lives."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from backhaul.errors import StillRecording, TemporaryError
from backhaul.sync.delivery import Delivery
from backhaul.sync.options import SyncOptions
from backhaul.sync.progress import LogStamp
from backhaul.sync.reporter import Reporter

_POLL = 0.5
_LIFE_EVERY = 5.0
# As often as the official client, from whose silence a server concludes that a run has crashed.
_HEARTBEAT_EVERY = 30.0
# A reading goes over some megabytes again that were read before: it takes a tenth of the time.
_REST_PER_WORK = 9
_HEARTBEAT = b"{}"


@dataclass(slots=True)
class Follower:
    """Waits for the next reading of one run."""

    options: SyncOptions
    reporter: Reporter
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep

    async def wait(self, delivery: Delivery, worked: float) -> None:
        """Return when the log has grown since it was read, its writer is gone, or the deadline has passed.

        `worked` is how many seconds the last reading took. The server gets a sign of life now and then. Raises OSError
        when the log can no longer be looked at.
        """
        began = beaten = self.clock()
        looked = began - _LIFE_EVERY
        rest = max(self.options.live_every, _REST_PER_WORK * worked)
        while not delivery.passage.retrier.is_over:
            await self.sleep(_POLL)
            now = self.clock()
            self.reporter.following(delivery.passage.run, now - began)
            if now - began >= rest and LogStamp.of(delivery.passage.run.directory.log) != delivery.stamp:
                return
            if now - looked >= _LIFE_EVERY:
                looked = now
                if not (await asyncio.to_thread(delivery.life)).goes_on:
                    return
            if now - beaten >= _HEARTBEAT_EVERY:
                beaten = now
                await self._beat(delivery)

    async def _beat(self, delivery: Delivery) -> None:
        address = delivery.passage.address
        if address is None:
            return
        try:
            await delivery.passage.server.file_stream(address, _HEARTBEAT)
        except TemporaryError as error:
            # The next one is due soon; whether the server is away for good shows at the next reading.
            self.reporter.waiting(delivery.passage.run, error, 0.0)


def is_to_be_followed(delivery: Delivery) -> bool:
    """Whether the run has to be read again: it went on, or goes on while the server cannot be reached.

    Raises OSError when its log can no longer be looked at.
    """
    error = delivery.outcome.error
    if isinstance(error, StillRecording):
        # Also when its writer ended in between: then the next reading is the last.
        return True
    return isinstance(error, TemporaryError) and delivery.life().goes_on
