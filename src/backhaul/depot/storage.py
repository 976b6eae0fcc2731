"""The bytes of files: signed uploads and downloads under `/storage`, downloads with the API key under `/files`."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import AsyncIterator
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from backhaul.depot import names
from backhaul.depot.addresses import Signer, Target
from backhaul.depot.model import Blob, Run, StoredFile
from backhaul.depot.refusal import Refused, not_found
from backhaul.depot.store import Blobs, Store

_BAD_DIGEST = "<Error><Code>BadDigest</Code><Message>The Content-MD5 does not match what arrived.</Message></Error>"


class BadDigest(Exception):
    """The body is not what its `Content-MD5` says."""


class Storage:
    """Answers requests for the bytes of runs' files."""

    def __init__(self, store: Store, blobs: Blobs, signer: Signer) -> None:
        self._store = store
        self._blobs = blobs
        self._signer = signer

    async def put(self, request: Request) -> Response:
        """Takes in a file at a signed address. It shows when it is whole and durable; until then the old one does."""
        target = self._checked(request, "PUT")
        run = await run_in_threadpool(self._run, target)
        expected = request.headers.get("content-md5")

        def accept(blob: Blob) -> None:
            if expected and base64.b64encode(bytes.fromhex(blob.md5)).decode() != expected.strip():
                raise BadDigest

        try:
            blob = await self._blobs.receive(_whole(request), accept)
        except BadDigest:
            return Response(_BAD_DIGEST, 400, media_type="application/xml")
        replaced = await run_in_threadpool(self._store.put_file, run.id, target.name, blob)
        if replaced:
            await run_in_threadpool(self._blobs.remove, replaced)
        return Response(status_code=200, headers={"ETag": f'"{blob.md5}"'})

    async def get(self, request: Request) -> Response:
        """Gives a file at a signed address; ranges are honoured."""
        return await run_in_threadpool(self.file_response, self._checked(request, "GET"))

    def file_response(self, target: Target) -> Response:
        """The bytes of the file, in such a way that a browser never runs them in the depot's name.

        Refused with 404 when there is none.
        """
        run = self._run(target)
        stored = self._store.file(run.id, target.name)
        if stored is None:
            raise not_found(f"file {target.name!r}")
        path = self._blobs.path(stored.blob)
        return FileResponse(path, headers=_headers(stored), media_type=_media_type(stored.name))

    def _run(self, target: Target) -> Run:
        run = self._store.run(target.entity, target.project, target.run)
        if run is None:
            raise not_found(f"run {target.entity}/{target.project}/{target.run}")
        return run

    def _checked(self, request: Request, method: str) -> Target:
        target = target_of(request)
        query = request.query_params
        self._signer.check(method, target, query.get("expires", ""), query.get("signature", ""))
        return target


def target_of(request: Request) -> Target:
    """The file that the path names. Refused with 400 for a name that leaves the run's folder."""
    parts = request.path_params
    return Target(parts["entity"], parts["project"], parts["run"], names.file_name(parts["path"]))


async def _whole(request: Request) -> AsyncIterator[bytes]:
    """The body. Raises when the connection ends before `Content-Length` bytes came."""
    announced = request.headers.get("content-length")
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        yield chunk
    if announced is not None and received != int(announced):
        raise Refused("the body is shorter than its Content-Length says")


def _headers(stored: StoredFile) -> dict[str, str]:
    file_name = quote(stored.name.rpartition("/")[2], safe="")
    return {
        "ETag": f'"{stored.md5}"',
        "Content-Disposition": f"attachment; filename*=UTF-8''{file_name}",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
    }


def _media_type(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
