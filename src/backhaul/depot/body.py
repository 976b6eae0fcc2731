"""Request bodies: read up to a bound, unpacked up to a bound."""

from __future__ import annotations

import json
import zlib
from typing import Any

import orjson
from starlette.requests import Request

from backhaul.depot.refusal import Refused

LARGEST_BODY = 64 << 20
"""Bytes of a request that is held in memory. Clients send up to about 12 MB; at least 32 MiB must be accepted."""

_LARGEST_UNPACKED = 256 << 20


async def read(request: Request) -> bytes:
    """The body of the request, unpacked when it came as gzip. Refused with 413 when too large, 400 when damaged."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > LARGEST_BODY:
            raise Refused(f"the request is larger than {LARGEST_BODY} bytes", 413)
        chunks.append(chunk)
    data = b"".join(chunks)
    return _unzipped(data) if request.headers.get("content-encoding", "").lower() == "gzip" else data


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


def _unzipped(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        result = unpacker.decompress(data, _LARGEST_UNPACKED)
    except zlib.error as error:
        raise Refused(f"the gzip body is damaged: {error}") from error
    if unpacker.unconsumed_tail:
        raise Refused(f"the unpacked request is larger than {_LARGEST_UNPACKED} bytes", 413)
    if not unpacker.eof:
        raise Refused("the gzip body is cut short")
    return result
