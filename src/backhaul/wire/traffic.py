"""The one who decides whether a request may go now: before every request of every run, for all hosts.

It never tries anything again; who is told to wait is told for how long.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import urlsplit

from backhaul.errors import (
    BackhaulError,
    ConnectionLost,
    ConnectionRefused,
    HostNotFound,
    RateLimited,
    ServerUnavailable,
    TimedOut,
)
from backhaul.wire.allowance import Allowance
from backhaul.wire.answers import retry_after_of
from backhaul.wire.circuit import Circuit
from backhaul.wire.message import Request, Response, Transport

State = TypeVar("State")

_AWAY = (HostNotFound, ConnectionRefused, ConnectionLost, TimedOut)
# What stands before a server says so when the server is away.
_AWAY_STATUSES = frozenset({502, 503, 504})
_MOST_HOSTS = 256
# A longer wait is left to who asks, so that it is seen, and ends with the deadline.
_LONGEST_PAUSE = 5.0


class Traffic:
    """A transport that paces another one: by what each server allows, and by whether it is there at all.

    Raises what the other transport raises; RateLimited when a server allows nothing for more than some seconds; and the
    last failure of a host again, unasked, while somebody else finds out whether it has come back. Both carry
    `retry_after`.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._transport = transport
        self._clock, self._sleep, self._chance = clock, sleep, chance
        self._circuits: OrderedDict[str, Circuit] = OrderedDict()
        self._allowances: OrderedDict[str, Allowance] = OrderedDict()

    async def send(self, request: Request) -> Response:
        """Return the answer to `request`, when it may go."""
        parts = urlsplit(request.url)
        circuit = _of(self._circuits, parts.netloc, Circuit)
        allowance = _of(self._allowances, f"{parts.netloc} {_door(parts.path)}", Allowance)
        await self._paced(allowance, parts.netloc)
        try:
            response = await self._asked(circuit, request)
        except BaseException:
            allowance.give_back()
            raise
        refused = response.status == 429
        allowance.told(
            response.headers, self._clock(), retry_after_of(response.headers, time.time()) if refused else None
        )
        return response

    async def close(self) -> None:
        """Give back all connections."""
        await self._transport.close()

    async def _paced(self, allowance: Allowance, host: str) -> None:
        wait = allowance.take(self._clock())
        try:
            if wait > _LONGEST_PAUSE:
                raise RateLimited(f"{host} allows no more requests for {wait:.0f} s", retry_after=wait)
            if wait:
                await self._sleep(wait)
        except BaseException:
            allowance.give_back()
            raise

    async def _asked(self, circuit: Circuit, request: Request) -> Response:
        refusal = circuit.refusal(self._clock(), self._chance())
        if refusal is not None:
            raise refusal
        try:
            response = await self._transport.send(request)
        except _AWAY as error:
            circuit.failed(error, self._clock(), self._chance())
            raise
        except BaseException:
            circuit.left()
            raise
        if response.status in _AWAY_STATUSES:
            circuit.failed(_away(request, response), self._clock(), self._chance())
        else:
            circuit.reached()
        return response


def _away(request: Request, response: Response) -> BackhaulError:
    return ServerUnavailable(
        f"{urlsplit(request.url).netloc} answered {response.status} several times",
        retry_after=retry_after_of(response.headers, time.time()),
    )


def _door(path: str) -> str:
    """What a server counts apart: questions, lines, and the rest."""
    last = path.rpartition("/")[2]
    return last if last in ("graphql", "file_stream") else ""


def _of(states: OrderedDict[str, State], key: str, make: Callable[[], State]) -> State:
    """The state kept under `key`; of too many the one that was not used for longest is forgotten."""
    state = states.setdefault(key, make())
    states.move_to_end(key)
    if len(states) > _MOST_HOSTS:
        states.popitem(last=False)
    return state
