"""A proxy between client and depot that does, at a chosen request, what networks and servers do.

It speaks real HTTP on a loopback socket, keeps a record of every request, and forwards what no fault is meant for. A
request's kind is its GraphQL operation (`UpsertBucket`), or `file_stream`, `put`, `get`.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import web

# Hop-by-hop headers belong to one connection; the length is counted anew.
_OF_THE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding"}


@dataclass(slots=True)
class Seen:
    """One request as it arrived, and the status that the client was given (None: no answer at all)."""

    kind: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int | None = None

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(slots=True)
class Exchange:
    """A request in work: what was seen, and the way to the depot."""

    request: web.Request
    seen: Seen
    forward: Callable[[bytes], Awaitable[web.Response]]


Fault = Callable[[Exchange], Awaitable[web.StreamResponse]]


def answer(status: int, body: str = "", **headers: str) -> Fault:
    """Answer in the depot's place; `Retry_After="1"` becomes the header `Retry-After`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def fault(_: Exchange) -> web.StreamResponse:
        return web.Response(status=status, text=body, headers=named, content_type="application/json")

    return fault


def refusal(status: int, words: str = "no", **headers: str) -> Fault:
    """Answer with an error in the form of a W&B server."""
    return answer(status, json.dumps({"errors": [{"message": words}]}), **headers)


def when(condition: Callable[[Seen], bool], then: Fault) -> Fault:
    """Meet only requests that fulfil the condition; the depot answers the others."""

    async def fault(exchange: Exchange) -> web.StreamResponse:
        return await (then if condition(exchange.seen) else forward)(exchange)

    return fault


async def forward(exchange: Exchange) -> web.StreamResponse:
    """Do nothing: the depot answers."""
    return await exchange.forward(exchange.seen.body)


async def reset(exchange: Exchange) -> web.StreamResponse:
    """Break the connection before the depot hears of the request."""
    return _reset(exchange)


async def lose_answer(exchange: Exchange) -> web.StreamResponse:
    """Let the depot do what was asked, and break the connection before the client hears of it."""
    await exchange.forward(exchange.seen.body)
    return _reset(exchange)


async def stall(_: Exchange) -> web.StreamResponse:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


def changing(change: Callable[[bytes], bytes]) -> Fault:
    """Let the depot receive something else than what was sent, and tell the client that all is well."""

    async def fault(exchange: Exchange) -> web.StreamResponse:
        return await exchange.forward(change(exchange.seen.body))

    return fault


def lying(change: Callable[[Any], Any]) -> Fault:
    """Change the depot's JSON answer on its way back."""

    async def fault(exchange: Exchange) -> web.StreamResponse:
        truth = await exchange.forward(exchange.seen.body)
        assert isinstance(truth.body, bytes)
        return web.Response(
            status=truth.status, text=json.dumps(change(json.loads(truth.body))), content_type="application/json"
        )

    return fault


def after(condition: threading.Event, then: Fault) -> Fault:
    """Hold the request until the test says so."""

    async def fault(exchange: Exchange) -> web.StreamResponse:
        await asyncio.to_thread(condition.wait, 150)
        return await then(exchange)

    return fault


@dataclass(slots=True)
class _Rule:
    kind: str
    fault: Fault
    skip: int
    times: float
    met: int = 0

    def takes(self, seen: Seen) -> bool:
        if seen.kind != self.kind:
            return False
        self.met += 1
        return self.skip < self.met <= self.skip + self.times


@dataclass
class FaultProxy:
    """`with FaultProxy(depot.url) as proxy:` — the client then goes to `proxy.url`."""

    target: str
    tls: ssl.SSLContext | None = None
    host: str = "localhost"
    seen: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rules: list[_Rule] = []
        self._changed = threading.Condition()
        self._ready = threading.Event()
        self._held_from, self._let_go = float("inf"), asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)

    @property
    def url(self) -> str:
        """Where the client is to be sent."""
        return f"{'https' if self.tls else 'http'}://{self.host}:{self._port}"

    def on(self, kind: str, fault: Fault, *, skip: int = 0, times: float = 1) -> None:
        """Meet requests of `kind` with `fault`: the first `skip` pass, then `times` are met."""
        self._rules.append(_Rule(kind, fault, skip, times))

    def always(self, kind: str, fault: Fault) -> None:
        """Meet every request of `kind` with `fault`."""
        self.on(kind, fault, times=float("inf"))

    def hold_after(self, count: int) -> None:
        """Let `count` more requests pass; each later one is held until `let_go`, or until its client is gone."""
        with self._changed:
            self._held_from, self._let_go = len(self.seen) + count, asyncio.Event()

    def let_go(self) -> None:
        """Hold nothing any more."""
        self._held_from = float("inf")
        self._loop.call_soon_threadsafe(self._let_go.set)

    def heal(self) -> None:
        """No faults from now on."""
        self._rules.clear()

    def of(self, kind: str) -> list[Seen]:
        """The requests of a kind so far."""
        return [seen for seen in list(self.seen) if seen.kind == kind]

    def wait_for(self, kind: str, count: int = 1, timeout: float = 150) -> None:
        """Return when so many requests of `kind` have been answered or met with a fault's beginning."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.of(kind)) >= count, timeout), f"no {count} {kind}"

    def lines(self) -> Iterator[tuple[str, int, str]]:
        """Every line that the client sent: stream, number, text."""
        for seen in self.of("file_stream"):
            for stream, part in seen.json.get("files", {}).items():
                for number, line in enumerate(part["content"], part["offset"]):
                    yield stream, number, line

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with aiohttp.ClientSession(auto_decompress=False) as self._session, self._listening():
            self._ready.set()
            await self._stop.wait()

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, self.host.replace("localhost", "127.0.0.1"), 0, ssl_context=self.tls)
        await site.start()
        self._port = runner.addresses[0][1]
        try:
            yield
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        seen = Seen(_kind(request, body), request.method, request.raw_path, dict(request.headers), body)
        matching = [rule for rule in self._rules if rule.takes(seen)]
        with self._changed:
            is_held, let_go = len(self.seen) >= self._held_from, self._let_go
            self.seen.append(seen)
            self._changed.notify_all()
        if is_held:
            await let_go.wait()
        exchange = Exchange(request, seen, lambda changed: self._forward(request, changed))
        response = await (matching[0].fault(exchange) if matching else exchange.forward(body))
        seen.status = None if request.transport is None or request.transport.is_closing() else response.status
        return response

    async def _forward(self, request: web.Request, body: bytes) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OF_THE_CONNECTION}
        url = self.target.rstrip("/") + request.raw_path
        # aiohttp warns of bytes that are large: sending them would hold up its loop.
        data = io.BytesIO(body) if len(body) >= 1 << 20 else body
        async with self._session.request(
            request.method, url, data=data, headers=headers, allow_redirects=False
        ) as there:
            content = await there.read()
            kept = {name: value for name, value in there.headers.items() if name.lower() not in _OF_THE_CONNECTION}
            return web.Response(status=there.status, body=content, headers=kept)


def _kind(request: web.Request, body: bytes) -> str:
    if request.path.endswith("/graphql"):
        return str(json.loads(body).get("operationName"))
    if request.path.endswith("/file_stream"):
        return "file_stream"
    return request.method.lower()


def _reset(exchange: Exchange) -> web.Response:
    transport = exchange.request.transport
    if transport is not None:
        sock: socket.socket = transport.get_extra_info("socket")
        # With no time to linger the close is a reset, as of a machine that lost its power.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()
