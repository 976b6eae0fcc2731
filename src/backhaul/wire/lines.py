"""The lines of runs on their way to a server's `file_stream`. Source: `filestreamimpl.go` of 0.31."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from urllib.parse import quote

from isal import isal_zlib

from backhaul.errors import BadRequest
from backhaul.wire.answers import error_of
from backhaul.wire.message import Request, Transport
from backhaul.wire.remote import RunAddress
from backhaul.wire.shape import strict_json

_GZIP = "FILESTREAM_GZIP"
_WORTH_PACKING = 4096
# The fastest level packs lines nearly as well as the best, at 300 MB/s.
_GZIP_LEVEL, _GZIP_FORMAT = 1, 31


class LineDoor:
    """Sends bodies of lines; long ones as gzip where the server at `base_url` offers that among its `features`.

    `headers` go with each, `secrets` never show in an error, `clock` gives POSIX seconds.
    """

    def __init__(
        self,
        transport: Transport,
        base_url: str,
        headers: Mapping[str, str],
        secrets: Sequence[str],
        clock: Callable[[], float],
        features: Callable[[], Awaitable[frozenset[str]]],
    ) -> None:
        self._transport = transport
        self._base_url = base_url
        self._headers = {**headers, "Content-Type": "application/json"}
        self._secrets = secrets
        self._clock = clock
        self._features = features
        # None until the server has shown whether it unpacks.
        self._packs: bool | None = None

    async def send(self, address: RunAddress, body: bytes) -> None:
        """Send one ready body (JSON) of a run; it is acknowledged when this returns."""
        if self._packs is False or len(body) < _WORTH_PACKING or _GZIP not in await self._features():
            return await self._post(address, body, {})
        packed = await asyncio.to_thread(isal_zlib.compress, body, _GZIP_LEVEL, _GZIP_FORMAT)
        try:
            await self._post(address, packed, {"Content-Encoding": "gzip"})
        except BadRequest:
            if self._packs:
                raise
            # The lines, or something on the way that cannot unpack: what is refused plain is refused for its content.
            self._packs = False
            return await self._post(address, body, {})
        self._packs = True
        return None

    async def _post(self, address: RunAddress, body: bytes, encoding: Mapping[str, str]) -> None:
        path = "/".join(quote(part, safe="") for part in (address.entity, address.project, address.run_id))
        doing = f"Sending lines of {address}"
        url = f"{self._base_url}/files/{path}/file_stream"
        response = await self._transport.send(Request("POST", url, {**self._headers, **encoding}, body))
        error = error_of(response, doing, self._clock(), self._secrets)
        if error is not None:
            raise error
        if response.body.strip():
            strict_json(response.body, doing)
