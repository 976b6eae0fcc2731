"""Stored bytes as an answer: whole, or the range that was asked for."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from backhaul.depot.threads import in_thread

_PIECE = 1 << 20  # bytes that one thread reads at a time
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def answer(request: Request, source: BinaryIO, headers: Mapping[str, str], media_type: str) -> Response:
    """The bytes of `source`, which the answer closes. `headers` hold the `ETag` that `If-Range` is compared with.

    206 for a range; 416 for one that begins behind the end. What is no single range is answered with the whole.
    """
    size = source.seek(0, 2)
    told = {**headers, "Accept-Ranges": "bytes"}
    wanted = _span(request.headers.get("range") or "", size)
    if wanted is None or request.headers.get("if-range", headers["ETag"]) != headers["ETag"]:
        wanted, status = range(size), 200
    elif not wanted:
        source.close()
        return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
    else:
        told["Content-Range"], status = f"bytes {wanted.start}-{wanted.stop - 1}/{size}", 206
    told["Content-Length"] = str(len(wanted))
    if request.method == "HEAD":
        source.close()
        return Response(status_code=status, headers=told, media_type=media_type)
    return StreamingResponse(_pieces(source, wanted), status, told, media_type)


def _span(asked: str, size: int) -> range | None:
    """The bytes of a `Range` header, empty when none of them is there; None when it is not one range."""
    found = _RANGE.fullmatch(asked)
    if found is None or asked == "bytes=-":
        return None
    first, last = found.groups()
    if not first:  # so many from the end
        return range(max(0, size - int(last)), size)
    if last and int(last) < int(first):
        return None
    return range(min(int(first), size), min(int(last) + 1, size) if last else size)


async def _pieces(source: BinaryIO, wanted: range) -> AsyncIterator[bytes]:
    with source:
        await in_thread(source.seek, wanted.start)
        left = len(wanted)
        while left:
            piece = await in_thread(source.read, min(left, _PIECE))
            if not piece:
                raise OSError("stored bytes end before their end")
            left -= len(piece)
            yield piece
