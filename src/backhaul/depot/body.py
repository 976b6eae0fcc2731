"""Request bodies: read up to a bound, unpacked up to a bound."""

from __future__ import annotations

import asyncio
import json
import math
import zlib
from collections.abc import AsyncIterator
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request

from backhaul.depot.refusal import Refused
from backhaul.depot.threads import in_thread

LARGEST_BODY = 64 << 20
"""Bytes of a request that is held in memory. Clients send up to about 12 MB; at least 32 MiB must be accepted."""

_SILENCE = 60.0  # seconds without a byte of a body that is on its way; clients give up about then themselves


async def read(request: Request, largest: int = LARGEST_BODY) -> bytes:
    """The body of the request, unpacked when it came as gzip.

    Refused with 413 when it has more bytes than `largest`, as it came or unpacked; with 400 when it is damaged.
    """
    data = b"".join([chunk async for chunk in _chunks(request, largest, "request")])
    packed = request.headers.get("content-encoding", "").lower() == "gzip"
    return await in_thread(_unzipped, data, largest) if packed else data


async def whole(request: Request, largest: int | None = None) -> AsyncIterator[bytes]:
    """The body piece by piece. Refused with 413 when it is larger, 400 when it ends before its `Content-Length`."""
    announced = request.headers.get("content-length")
    received = 0
    async for chunk in _chunks(request, largest, "file"):
        received += len(chunk)
        yield chunk
    if announced is not None and received != int(announced):
        raise Refused("the body is shorter than its Content-Length says")


async def _chunks(request: Request, largest: int | None, what: str) -> AsyncIterator[bytes]:
    """The body as it arrives. Refused with 413 as soon as it is too large, 408 when nothing comes any more."""
    room = math.inf if largest is None else largest
    too_large = Refused(f"the {what} is larger than {largest} bytes", 413)
    if int(request.headers.get("content-length", 0)) > room:
        raise too_large
    more = True
    while more:
        chunk, more = await _next(request, what)
        room -= len(chunk)
        if room < 0:
            raise too_large
        yield chunk


async def _next(request: Request, what: str) -> tuple[bytes, bool]:
    """The next piece of the body, and whether there is more. Raises ClientDisconnect when the client has gone."""
    try:
        async with asyncio.timeout(_SILENCE):
            message = await request.receive()
    except TimeoutError:
        raise Refused(f"the {what} stopped coming", 408) from None
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message.get("body", b""), message.get("more_body", False)


def parse_object(data: bytes) -> dict[str, Any]:
    """The JSON object in `data`. Refused with 400 when it is none."""
    try:
        value = _loads(data)
    except (ValueError, RecursionError) as error:
        raise Refused(f"the request is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Refused("the request is not a JSON object")
    return value


def _loads(data: bytes) -> Any:
    """orjson needs a quarter of the time, and refuses what Python takes: lone surrogates, NaN, UTF-16."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data)


def _unzipped(data: bytes, largest: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        result = unpacker.decompress(data, largest)
    except zlib.error as error:
        raise Refused(f"the gzip body is damaged: {error}") from error
    if unpacker.unconsumed_tail:
        raise Refused(f"the unpacked request is larger than {largest} bytes", 413)
    if not unpacker.eof:
        raise Refused("the gzip body is cut short")
    return result
