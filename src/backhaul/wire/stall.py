"""Tell a slow connection from a dead one: a limit on the time without progress, not on the whole.

A 50 GB upload may last for hours; what must not last is a minute in which not one byte moved. Handing bytes to the
kernel is no progress: a send buffer holds megabytes, which a slow link needs minutes for. So what still waits in the
buffers of this process and of the kernel is looked at too.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys

if sys.platform == "linux":
    import fcntl
    import termios

_LOOKS_PER_LIMIT = 8


class StallWatch:
    """End the block around it with TimeoutError after `limit` seconds in which no byte moved either way.

    Use as ``async with StallWatch(60) as watch``; `count` reports bytes handed over or received, `attach` names the
    transport whose buffers are drained by the other side.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._counted = 0
        self._transport: asyncio.WriteTransport | None = None
        self._seen: tuple[int, int, int] | None = None

    async def __aenter__(self) -> StallWatch:
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._clock = asyncio.timeout(None)
        await self._clock.__aenter__()
        self._look()
        return self

    async def __aexit__(self, *raised: object) -> None:
        self._handle.cancel()
        self._transport = None
        await self._clock.__aexit__(*raised)  # type: ignore[arg-type]

    def count(self, size: int) -> None:
        """Note that `size` bytes were handed to the connection or came from it."""
        self._counted += size

    def hold(self) -> None:
        """Note that it is we who hold back: that is no stall of the other side."""
        self._seen = None

    def attach(self, transport: asyncio.WriteTransport | None) -> None:
        """Watch the buffers of `transport` from now on; a new connection counts as progress."""
        self._transport = transport
        self._seen = None

    def _look(self) -> None:
        now, state = self._loop.time(), self._state()
        if state != self._seen:
            self._seen, self._since = state, now
        if now - self._since >= self._limit:
            self._clock.reschedule(now)
            return
        self._handle = self._loop.call_later(self._limit / _LOOKS_PER_LIMIT, self._look)

    def _state(self) -> tuple[int, int, int]:
        if self._transport is None:
            return (self._counted, 0, 0)
        return (self._counted, self._transport.get_write_buffer_size(), _unacknowledged(self._transport))


def _unacknowledged(transport: asyncio.WriteTransport) -> int:
    """Bytes that the kernel holds because the other side has not confirmed them; 0 where that cannot be asked."""
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sys.platform != "linux" or sock is None or sock.fileno() < 0:
        return 0
    with contextlib.suppress(OSError):
        answer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
        return int(struct.unpack("i", answer)[0])
    return 0
