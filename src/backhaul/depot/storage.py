"""The bytes of files: signed uploads and downloads, and downloads with the API key."""

from __future__ import annotations

import mimetypes
from concurrent.futures import Future
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from backhaul.depot import body, download, manifests, names
from backhaul.depot.addresses import Addressed, ContentTarget, ManifestTarget, PartTarget, Target
from backhaul.depot.graphql.context import Services
from backhaul.depot.model import Blob, Run
from backhaul.depot.refusal import Refused, not_found
from backhaul.depot.run_numbers import RunNumbers
from backhaul.depot.store import Store
from backhaul.depot.store.interface import Keep
from backhaul.depot.threads import ended, in_thread


class BadDigest(Refused):
    """The body is not what its `Content-MD5` says."""


class Storage:
    """Answers requests for the bytes of files: of runs, of artifacts, and manifests."""

    def __init__(self, services: Services, numbers: RunNumbers) -> None:
        self._store = services.store
        self._blobs = services.blobs
        self._signer = services.signer
        self._assembly = services.assembly
        self._run_uploads = services.run_uploads
        self._max_file_size = services.max_file_size
        self._numbers = numbers

    async def put(self, request: Request) -> Response:
        """Takes in a file at a signed address. It shows when it is whole and durable; until then the old one does."""
        target = target_of(request)
        self._check(request, "PUT", target)

        def keep(blob: Blob) -> Future[str | None]:
            number = self._numbers.get(target.place, self._store)
            if self._run_uploads:  # what came before by another way must not count as newer
                self._run_uploads.look(number, [target.name])
            return self._store.put_file(number, target.name, blob)

        return await self._receive(request, None, keep)

    async def put_content(self, request: Request) -> Response:
        """Takes in bytes of an artifact; they must have the MD5 that the address names."""
        target = _content_of(request)
        self._check(request, "PUT", target)

        def keep(blob: Blob) -> Future[str | None]:
            return ended(self._store.artifacts.put_content(target.project_id, blob, target.artifact_id))

        return await self._receive(request, target.md5, keep)

    async def put_part(self, request: Request) -> Response:
        """Takes in one part of an upload; it must have the MD5 that was announced. 404 when that is over."""
        target = PartTarget(request.path_params["upload"], request.path_params["number"])
        self._check(request, "PUT", target)
        upload = await in_thread(self._assembly.upload, target.upload_id)
        if upload is None or not 1 <= target.number <= len(upload.parts):
            raise not_found("upload")
        md5 = upload.parts[target.number - 1]

        def keep(blob: Blob) -> Future[str | None]:
            return ended(self._assembly.put_part(upload.id, target.number, blob))

        return await self._receive(request, md5, keep)

    async def put_manifest(self, request: Request) -> Response:
        """Takes in an artifact's manifest; it must have the MD5 that was announced."""
        target = _manifest_of(request)
        self._check(request, "PUT", target)
        manifest = await in_thread(self._store.artifacts.manifest, target.manifest_id)
        if manifest is None:
            raise not_found("artifact manifest")
        md5 = manifests.to_hex(manifest.digest)
        most = min(manifests.LARGEST, self._max_file_size or manifests.LARGEST)

        def keep(blob: Blob) -> Future[str | None]:
            return ended(self._store.artifacts.put_manifest(manifest.id, blob))

        return await self._receive(request, md5, keep, most)

    async def _receive(self, request: Request, md5: str | None, keep: Keep, largest: int | None = None) -> Response:
        """Stores the body of at most `largest` bytes, or as large as files may be; `keep` names it, as `Blobs` says."""
        announced = request.headers.get("content-md5")
        expected = {digest for digest in (md5, manifests.to_hex(announced.strip()) if announced else None) if digest}

        def accept(blob: Blob) -> None:
            if expected and expected != {blob.md5}:
                raise BadDigest(f"the MD5 of what arrived is {blob.md5}, not {' or '.join(sorted(expected))}")

        blob = await self._blobs.receive(body.whole(request, largest or self._max_file_size), accept, keep)
        return Response(status_code=200, headers={"ETag": f'"{blob.md5}"'})

    async def get(self, request: Request) -> Response:
        """Gives a file at a signed address; ranges are honoured."""
        target = target_of(request)
        self._check(request, "GET", target)
        return await in_thread(self.file_response, request, self._store, target)

    async def get_content(self, request: Request) -> Response:
        """Gives bytes of an artifact at a signed address."""
        target = _content_of(request)
        self._check(request, "GET", target)
        return await in_thread(self._content_response, request, target.project_id, target.md5)

    async def get_entry(self, request: Request) -> Response:
        """Gives bytes of an artifact to a client with the key, by names and digest (storage layout V2)."""
        where = request.path_params
        store: Store = request.state.services.store
        project = await in_thread(store.project, where["entity"], where["project"])
        if project is None:
            raise not_found("project")
        return await in_thread(self._content_response, request, project.id, where["md5"], where["name"])

    async def get_manifest(self, request: Request) -> Response:
        """Gives a manifest at a signed address."""
        target = _manifest_of(request)
        self._check(request, "GET", target)
        manifest = await in_thread(self._store.artifacts.manifest, target.manifest_id)
        if manifest is None or manifest.blob is None:
            raise not_found("artifact manifest")
        return await in_thread(self._bytes, request, manifest.blob, "manifest.json", manifests.to_hex(manifest.digest))

    def _content_response(self, request: Request, project_id: int, md5: str, name: str = "file") -> Response:
        content = self._store.artifacts.content(project_id, md5)
        if content is None:
            raise not_found("artifact file")
        return self._bytes(request, content.blob, name, md5)

    def file_response(self, request: Request, store: Store, target: Target) -> Response:
        """The bytes of a file in the store, in such a way that a browser never runs them in the depot's name.

        Refused with 404 when there is none.
        """
        run = _run(store, target)
        if self._run_uploads:
            self._run_uploads.look(run.id, [target.name])
        stored = store.file(run.id, target.name)
        if stored is None:
            raise not_found(f"file {target.name!r}")
        return self._bytes(request, stored.blob, stored.name, stored.md5)

    def _bytes(self, request: Request, blob: str, name: str, md5: str) -> Response:
        """The bytes; opened before the answer begins, so that a disk that fails is told with a status."""
        return download.answer(request, self._blobs.open(blob), _headers(name, md5), _media_type(name))

    def _check(self, request: Request, method: str, target: Addressed) -> None:
        query = request.query_params
        self._signer.check(method, target, query.get("expires", ""), query.get("signature", ""))


def target_of(request: Request) -> Target:
    """The file that the path names. Refused with 400 for a name that leaves the run's folder."""
    parts = request.path_params
    return Target(parts["entity"], parts["project"], parts["run"], names.file_name(parts["path"]))


def _run(store: Store, target: Target) -> Run:
    run = store.run(target.entity, target.project, target.run)
    if run is None:
        raise not_found(f"run {target.entity}/{target.project}/{target.run}")
    return run


def _content_of(request: Request) -> ContentTarget:
    where = request.path_params
    return ContentTarget(where["project_id"], where["artifact_id"], where["md5"])


def _manifest_of(request: Request) -> ManifestTarget:
    return ManifestTarget(request.path_params["manifest_id"])


def _headers(name: str, md5: str) -> dict[str, str]:
    """Headers that keep a browser from running what users stored in the depot's name."""
    file_name = quote(name.rpartition("/")[2], safe="")
    return {
        "ETag": f'"{md5}"',
        "Content-Disposition": f"attachment; filename*=UTF-8''{file_name}",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
    }


def _media_type(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
