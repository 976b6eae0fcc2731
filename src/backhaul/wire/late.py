"""A transport that is made when its first request is to go: a sync that finds all verified needs none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from backhaul.wire.message import Request, Response, Transport


class Late:
    """What `make` gives, once there is something to send. `make` is called in a thread, and once.

    To load a library of HTTP and the certificates of the system takes as long as to load all of ours; meanwhile logs
    are read.
    """

    def __init__(self, make: Callable[[], Transport]) -> None:
        self._make = make
        self._making = asyncio.Lock()
        self._transport: Transport | None = None

    async def send(self, request: Request) -> Response:
        """As in `Transport`."""
        transport = self._transport or await self._made()
        return await transport.send(request)

    async def _made(self) -> Transport:
        async with self._making:
            if self._transport is None:
                self._transport = await asyncio.to_thread(self._make)
            return self._transport

    async def close(self) -> None:
        """As in `Transport`."""
        if self._transport is not None:
            await self._transport.close()
