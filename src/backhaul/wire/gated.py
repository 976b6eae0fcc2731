"""A transport that asks before each request whether it may go at all."""

from __future__ import annotations

from collections.abc import Callable

from backhaul.wire.message import Request, Response, Transport

Gate = Callable[[], None]
"""Raises a BackhaulError when nothing may be sent now."""


def open_to_all() -> None:
    """Everything may be sent."""


class Gated:
    """`transport` behind a `gate`: it raises what the gate raises, and the request has not left then."""

    def __init__(self, transport: Transport, gate: Gate) -> None:
        self._transport = transport
        self._gate = gate

    async def send(self, request: Request) -> Response:
        """As in `Transport`."""
        self._gate()
        return await self._transport.send(request)

    async def close(self) -> None:
        """As in `Transport`."""
        await self._transport.close()
