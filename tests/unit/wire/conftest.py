"""Real servers on loopback for the tests of the wire: each speaks as its test tells it to."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Listen = Callable[..., AbstractAsyncContextManager[int]]


@asynccontextmanager
async def _listening(
    conversation: Conversation, tls: ssl.SSLContext | None = None, sock: object = None
) -> AsyncIterator[int]:
    talks: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        try:
            await conversation(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
                await writer.wait_closed()

    where = {"sock": sock} if sock is not None else {"host": "127.0.0.1", "port": 0}
    server = await asyncio.start_server(answer, ssl=tls, **where)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


@pytest.fixture
def listen() -> Listen:
    """`async with listen(conversation) as port`: a TCP (or TLS) server that talks so with each client."""
    return _listening
