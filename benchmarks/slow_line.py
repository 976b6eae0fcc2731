"""A line with a long round trip: a TCP proxy in a thread that delivers every byte late, and counts requests."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

_REQUEST = re.compile(rb"^(?:GET|POST|PUT) [^ \r\n]+ HTTP/1\.1\r\n", re.MULTILINE)


class SlowLine:
    """What went over the line: `requests`, and the `cpu` time (seconds) that the line itself took."""

    def __init__(self, target: str, round_trip: float) -> None:
        self.port = int(target.rpartition(":")[2])
        self.delay = round_trip / 2
        self.requests = 0
        self.cpu = 0.0
        self.url = ""

    def start(self, ready: threading.Event, stopped: asyncio.Event) -> None:
        """Carry until `stopped`."""
        asyncio.run(self._serve(ready, stopped))
        self.cpu = time.thread_time()

    async def _serve(self, ready: threading.Event, stopped: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        self.stop = lambda: loop.call_soon_threadsafe(stopped.set)
        server = await loop.create_server(lambda: _Inwards(self), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        await stopped.wait()
        server.close()


class _End(asyncio.Protocol):
    """One end of a connection: what arrives leaves at the other end, half a round trip later and in order."""

    def __init__(self, line: SlowLine) -> None:
        self.line = line
        self.transport: asyncio.Transport | None = None
        self.other: _End | None = None
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        for data in self._early:
            self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        self._later(self._leave, data)

    def connection_lost(self, error: Exception | None) -> None:
        self._later(self._hang_up)

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def _later(self, what: object, *arguments: bytes) -> None:
        asyncio.get_running_loop().call_later(self.line.delay, what, *arguments)

    def _leave(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)
        elif self.other is not None:
            self.other._early.append(data)

    def _hang_up(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


class _Inwards(_End):
    """The client's end."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.other = _End(self.line)
        self.other.other = self
        loop = asyncio.get_running_loop()
        other = self.other
        self._connecting = loop.create_task(loop.create_connection(lambda: other, "127.0.0.1", self.line.port))

    def data_received(self, data: bytes) -> None:
        self.line.requests += len(_REQUEST.findall(data))
        super().data_received(data)


@contextmanager
def slow_line(target: str, round_trip: float) -> Iterator[SlowLine]:
    """A line to the server at `target`, each round trip so many seconds long."""
    line, ready, stopped = SlowLine(target, round_trip), threading.Event(), asyncio.Event()
    thread = threading.Thread(target=line.start, args=(ready, stopped), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield line
    finally:
        line.stop()
        thread.join()
