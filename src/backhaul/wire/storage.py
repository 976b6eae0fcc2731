"""Put one file at the address that the server signed for it, and check that it arrived whole.

The address belongs to a W&B server or to an object store (S3, Google, Azure); it carries its own permission, so the API
key is never sent there.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from backhaul.errors import (
    BackhaulError,
    ClockWrong,
    ConnectionLost,
    ConnectionRefused,
    Forbidden,
    HostNotFound,
    ProxyRefused,
    ServerUnavailable,
    StorageUnreachable,
    TimedOut,
    UnexpectedAnswer,
)
from backhaul.wire.answers import error_of
from backhaul.wire.connect_timed_out import ConnectTimedOut
from backhaul.wire.message import FileSlice, Request, Response, Transport
from backhaul.wire.remote import UploadTarget

# Why no connection came about; one that broke later shows that the way is open.
_NO_WAY = (HostNotFound, ConnectionRefused, ConnectTimedOut, ProxyRefused)
_PLAIN_MD5 = re.compile(r"[0-9a-f]{32}")
_STORE_CODE = re.compile(rb"<Code>\s*([A-Za-z]{1,64})\s*</Code>")
_REFUSED_NEXT = (
    "Tell who runs the server: its file storage refuses the addresses that it gives out. What is sent stays sent, and "
    "the same command sends the rest once that is mended."
)
_EXPIRED = re.compile(rb"ExpiredToken|has expired|Request signature expired|not valid in the specified time frame")
# Codes that object stores (S3, Google Cloud Storage) send with a 4xx status, and that mean something else than it.
_KNOWN_CODES: Mapping[bytes, type[BackhaulError]] = {
    b"RequestTimeout": TimedOut,
    b"BadDigest": ConnectionLost,
    b"IncompleteBody": ConnectionLost,
    b"XAmzContentSHA256Mismatch": ConnectionLost,
    b"OperationAborted": ServerUnavailable,
    b"RequestTimeTooSkewed": ClockWrong,
    b"SlowDown": ServerUnavailable,
    b"InternalError": ServerUnavailable,
}


class StorageDoor:
    """The way to where files are uploaded, which may be another host than the API's at `api_url`.

    When no connection to it comes about although the API has just answered, StorageUnreachable says so. `headers` go
    with every upload; `clock` gives POSIX seconds.
    """

    def __init__(
        self,
        transport: Transport,
        api_url: str,
        headers: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._transport = transport
        self._api_host = urlsplit(api_url).netloc
        self._headers = headers or {}
        self._clock = clock
        self._etags = EtagSense()

    async def send(self, request: Request) -> Response:
        """Return the answer to `request`."""
        host = urlsplit(request.url).netloc
        try:
            return await self._transport.send(request)
        except _NO_WAY as error:
            if host == self._api_host:
                raise
            raise StorageUnreachable(
                f"{self._api_host} answers, and the file storage {host}, where it wants the files, does not: "
                f"{error.message}",
                retry_after=error.retry_after,
            ) from error

    async def put_file(self, target: UploadTarget, body: bytes | FileSlice, md5: str | None) -> None:
        """PUT `body` at `target`; `md5` (hex or base64) is compared with what the store says it received.

        Raises what the transport raises and what `error_of` makes of an answer; ConnectionLost when the store's MD5
        differs, ServerUnavailable when the address is expired (ask for a new one).
        """
        response = await self._put(target, body, {})
        sent = hex_md5(md5) if md5 is not None else None
        received = stored_md5(response.headers)
        if received is None and sent is not None:
            received = self._etags.md5_of(urlsplit(target.url).netloc, sent, response.headers)
        if sent is not None and received is not None and received != sent:
            raise ConnectionLost(
                f"Uploading {target.name} failed: the store received other bytes than were sent (MD5 {received})"
            )

    async def put_part(self, target: UploadTarget, body: FileSlice, md5: str) -> str:
        """PUT one part of a file; `md5` is base64. Returns the ETag as it came.

        Raises as `put_file` does, and UnexpectedAnswer when there is no ETag.
        """
        response = await self._put(target, body, {"Content-MD5": md5})
        etag = response.headers.get("etag")
        if not etag:
            raise UnexpectedAnswer(f"Uploading a part of {target.name} failed: the store's answer has no ETag")
        return etag

    async def _put(self, target: UploadTarget, body: bytes | FileSlice, more: Mapping[str, str]) -> Response:
        headers = {**self._headers, **target.headers, **more}
        response = await self.send(Request("PUT", target.url, headers, body))
        doing = f"Uploading {target.name}"
        error = _failure_by_code(response, doing) or error_of(response, doing, self._clock())
        if isinstance(error, Forbidden):
            # It is not the account that is refused here: the key never comes to the store.
            raise Forbidden(error.message, next=_REFUSED_NEXT) from error
        if error is not None:
            raise error
        return response


def hex_md5(md5: str) -> str | None:
    """An MD5 in lower-case hex, whether it was written in hex or in base64; None if it is neither."""
    if _PLAIN_MD5.fullmatch(md5.lower()):
        return md5.lower()
    try:
        digest = base64.b64decode(md5, validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest.hex() if len(digest) == 16 else None


class EtagSense:
    """Which stores' ETags are MD5s, as their answers show.

    HTTP lets an ETag be any text. S3's is the MD5 of an object in one part, and with an encryption key 32 digits of the
    same look that are none; a store or a proxy may keep to itself that there is such a key. The same content sent twice
    tells them apart, at a store whose ETag never was an MD5: the digest of bytes that are cut off or changed alike is
    the same again, and an ETag that is no digest is another one each time.
    """

    def __init__(self) -> None:
        self._are_md5s: set[str] = set()
        self._are_none: set[str] = set()
        self._doubted: dict[tuple[str, str], str] = {}

    def md5_of(self, host: str, sent: str, headers: Mapping[str, str]) -> str | None:
        """The MD5 (hex) of what `host` received when content of the MD5 `sent` went there; None if it does not say."""
        etag = _md5_like_etag(headers)
        if etag == sent:
            self._are_md5s.add(host)
        elif etag is not None and host not in self._are_md5s and self._is_no_digest(host, sent, etag):
            return None
        return etag

    def _is_no_digest(self, host: str, sent: str, etag: str) -> bool:
        if host not in self._are_none and self._doubted.setdefault((host, sent), etag) != etag:
            self._are_none.add(host)
            self._doubted.clear()
        return host in self._are_none


def stored_md5(headers: Mapping[str, str]) -> str | None:
    """The MD5 (hex) that a store names as that of what it received; None if its answer names none."""
    google = re.search(r"md5=([A-Za-z0-9+/]{22}==)", headers.get("x-goog-hash", ""))
    if google is not None:
        return hex_md5(google[1])
    if "content-md5" in headers:
        return hex_md5(headers["content-md5"].strip())
    return None


def _md5_like_etag(headers: Mapping[str, str]) -> str | None:
    """An ETag that may be the MD5 of one part, in lower-case hex; None for any other and under an encryption key."""
    if _is_encrypted_by_key(headers):
        return None
    etag = headers.get("etag", "").strip().removeprefix("W/").strip('"')
    return etag.lower() if _PLAIN_MD5.fullmatch(etag.lower()) else None


def _is_encrypted_by_key(headers: Mapping[str, str]) -> bool:
    return (
        headers.get("x-amz-server-side-encryption", "").startswith("aws:kms")
        or "x-amz-server-side-encryption-customer-algorithm" in headers
        or any(name.startswith("x-goog-encryption") for name in headers)
    )


def _failure_by_code(response: Response, doing: str) -> BackhaulError | None:
    if not 400 <= response.status < 500:
        return None
    head = response.body[:4096]
    if _EXPIRED.search(head):
        return ServerUnavailable(f"{doing} failed: the upload address has expired")
    code = _STORE_CODE.search(head)
    kind = _KNOWN_CODES.get(code[1]) if code else None
    return kind(f"{doing} failed: the store says {code[1].decode()}") if kind and code else None
