"""Request bodies as aiohttp sends them: in small pieces, each one counted as progress."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import BinaryIO

from aiohttp import Payload
from aiohttp.abc import AbstractStreamWriter

from backhaul.errors import BackhaulError, UnreadableFile
from backhaul.wire.message import FileSlice
from backhaul.wire.pace import Pace
from backhaul.wire.slices import open_slice
from backhaul.wire.stall import StallWatch

_PIECE = 64 * 1024
_READ = 1024 * 1024
# Shorter than any limit on silence that makes sense, so that the watch hears of the wait in time.
_LONGEST_HOLD = 0.05


class BodyPayload(Payload):
    """The body of one request; `failure` is set when its file could not be read to the end."""

    _autoclose = True

    def __init__(self, body: bytes | FileSlice, watch: StallWatch, pace: Pace | None = None) -> None:
        super().__init__(body)
        self._body = body
        self._watch = watch
        self._pace = pace
        self.failure: BackhaulError | None = None

    @property
    def size(self) -> int:
        """Number of bytes; it is always known, so that nothing is ever sent in HTTP chunks."""
        return self._body.length if isinstance(self._body, FileSlice) else len(self._body)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Refuse: nobody may pull a body that lies on disk into memory."""
        raise TypeError("a request body is only ever streamed")

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Hand over the body piece by piece, as fast as the other side takes it."""
        self._watch.attach(getattr(writer, "transport", None))
        try:
            if not isinstance(self._body, FileSlice):
                return await self._write_block(writer, memoryview(self._body))
            async for block in _blocks(self._body):
                await self._write_block(writer, block)
        except BackhaulError as failure:
            self.failure = failure
            raise

    async def _write_block(self, writer: AbstractStreamWriter, block: bytes | memoryview) -> None:
        for start in range(0, len(block), _PIECE):
            piece = block[start : start + _PIECE]
            await self._held_back(len(piece))
            await writer.write(piece)
            await writer.drain()
            self._watch.count(len(piece))

    async def _held_back(self, size: int) -> None:
        """Wait until the user's limit allows `size` bytes more."""
        left = 0.0 if self._pace is None else self._pace.wait_before(size)
        while left > 0:
            await asyncio.sleep(min(left, _LONGEST_HOLD))
            self._watch.hold()
            left -= _LONGEST_HOLD


async def _blocks(body: FileSlice) -> AsyncIterator[bytes]:
    # A read from a network file system can take seconds; in a thread it holds up nobody else.
    file = await asyncio.to_thread(open_slice, body)
    try:
        left = body.length
        while left:
            block = await asyncio.to_thread(_read, file, min(left, _READ), body)
            left -= len(block)
            yield block
    finally:
        file.close()


def _read(file: BinaryIO, size: int, body: FileSlice) -> bytes:
    try:
        block = file.read(size)
    except OSError as error:
        raise UnreadableFile(f"{body.path} cannot be read: {error.strerror}") from error
    if not block:
        raise UnreadableFile(
            f"{body.path} became shorter while it was sent",
            next="Wait until nothing writes to this file any more, then run the same command again.",
        )
    return block
