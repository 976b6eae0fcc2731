"""An object store for the tests: moto's server, and a door before it that is as strict as S3, and fails when told to.

moto keeps objects and parts, and speaks the protocol. It looks neither at signatures nor at `Content-MD5` nor at what a
copy is bound to, takes bodies without a length, and may let two at once write where nothing was; the door does look.
What is asked of it goes over real sockets.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from backhaul.depot.store.s3.bucket import client_of
from backhaul.depot.store.s3.place import S3Place

KEYS = {
    "AWS_ACCESS_KEY_ID": "depot",
    "AWS_SECRET_ACCESS_KEY": "a secret",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_MAX_ATTEMPTS": "1",
}
BUCKET = "runs"

_OF_THE_CONNECTION = frozenset({"connection", "transfer-encoding", "host", "date", "server", "keep-alive"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came to the door."""

    method: str
    path: str
    query_text: str
    headers: dict[str, str]
    body: bytes

    @property
    def query(self) -> dict[str, str]:
        """The query by names."""
        return dict(parse_qsl(self.query_text, keep_blank_values=True))

    @property
    def signed_address(self) -> bool:
        """Whether the address itself is the permission."""
        return "X-Amz-Signature" in self.query


Answer = tuple[int, bytes]
Fault = Callable[[Asked], Answer | None]


@dataclass
class Door:
    """What stands before the store. `fault` may answer in its place, or break the connection by raising OSError."""

    url: str
    fault: Fault | None = None
    seen: list[Asked] = field(default_factory=list)
    cut: int = 0
    """How many of the next answers with an object end in the middle."""
    late: timedelta = timedelta(0)
    """By how much the store's clock is ahead."""
    heeds_copy_conditions: bool = True
    """Whether it copies only what is as it was told; some stores do not look, as moto."""

    heeds_write_conditions: bool = True
    """Whether it writes only where nothing is, when told so; some stores write again."""

    one_by_one: threading.Lock = field(default_factory=threading.Lock)
    """Held while something is written on a condition."""

    _watched: list[tuple[Callable[[Asked], bool], threading.Event]] = field(default_factory=list)

    def awaited(self, what: Callable[[Asked], bool]) -> threading.Event:
        """Is set by the next request that is such."""
        self._watched.append((what, threading.Event()))
        return self._watched[-1][1]

    def note(self, asked: Asked) -> None:
        """A request has come."""
        self.seen.append(asked)
        for what, came in self._watched:
            if what(asked):
                came.set()

    def place(self, prefix: str = "", **more: Any) -> S3Place:
        """A place that nobody else uses."""
        return S3Place(BUCKET, prefix or f"{uuid4().hex[:12]}/", self.url, **more)

    @cached_property
    def client(self) -> Any:
        """A client with the right keys, for looking into the store."""
        return client_of(S3Place(BUCKET, endpoint=self.url))

    def names(self, place: S3Place) -> list[str]:
        """The objects at a place, without the mark of whose it is."""
        found = self.client.list_objects_v2(Bucket=BUCKET, Prefix=place.prefix)
        names = [each["Key"].removeprefix(place.prefix) for each in found.get("Contents", ())]
        return [name for name in names if name != "owner"]

    def uploads(self, place: S3Place) -> int:
        """How many objects there are on their way in parts."""
        return len(self.client.list_multipart_uploads(Bucket=BUCKET, Prefix=place.prefix).get("Uploads", ()))


def refusal(status: int, code: str) -> Answer:
    """An answer as S3 gives it."""
    return (
        status,
        f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>told by the test</Message></Error>".encode(),
    )


@contextmanager
def opened_door(moto: int) -> Iterator[Door]:
    """A door before the moto server on that port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    door = Door(f"http://127.0.0.1:{server.server_address[1]}")
    server.door, server.moto = door, moto  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield door
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _do(self) -> None:
        door: Door = self.server.door  # type: ignore[attr-defined]
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, parts.path, parts.query, headers, body)
        door.note(asked)
        try:
            answered = (door.fault and door.fault(asked)) or _refused(asked, door) or self._refused_copy(asked)
        except OSError:
            self.close_connection = True
            self.connection.close()
            return
        if answered:
            self._say(answered[0], {"Content-Type": "application/xml"}, answered[1])
            return
        with door.one_by_one if "if-none-match" in headers else nullcontext():
            status, told, data = self._forwarded(body)
        if self.command == "GET" and data and door.cut and "/" in parts.path[1:].removeprefix(BUCKET).strip("/"):
            door.cut -= 1
            self.send_response_only(status)
            for name, value in told.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
            return
        self._say(status, told, data)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _do  # noqa: N815 - named so by the standard library

    def _refused_copy(self, asked: Asked) -> Answer | None:
        wanted = asked.headers.get("x-amz-copy-source-if-match")
        if wanted is None or not self.server.door.heeds_copy_conditions:  # type: ignore[attr-defined]
            return None
        connection = http.client.HTTPConnection("127.0.0.1", self.server.moto, timeout=120)  # type: ignore[attr-defined]
        shown = {"Authorization": asked.headers["authorization"]}  # moto lets nobody look without
        connection.request("HEAD", f"/{asked.headers['x-amz-copy-source']}", headers=shown)
        answer = connection.getresponse()
        connection.close()
        return refusal(412, "PreconditionFailed") if answer.getheader("ETag") not in (None, wanted) else None

    def _forwarded(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        port: int = self.server.moto  # type: ignore[attr-defined]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        unheeded = set() if self.server.door.heeds_write_conditions else {"if-none-match"}  # type: ignore[attr-defined]
        dropped = _OF_THE_CONNECTION | unheeded
        headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
        if self.command in ("PUT", "POST"):
            headers["Content-Type"] = "application/octet-stream"  # moto takes what says that it is a form for one
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        told = {name: value for name, value in answer.getheaders() if name.lower() not in _OF_THE_CONNECTION}
        connection.close()
        return answer.status, told, data

    def _say(self, status: int, headers: dict[str, str], body: bytes) -> None:
        door: Door = self.server.door  # type: ignore[attr-defined]
        self.send_response_only(status)
        self.send_header("Date", format((datetime.now(UTC) + door.late), "%a, %d %b %Y %H:%M:%S GMT"))
        for name, value in headers.items():
            if self.command == "HEAD" or name.lower() != "content-length":
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


def _refused(asked: Asked, door: Door) -> Answer | None:
    """What S3 refuses and moto takes."""
    if asked.method == "PUT" and "content-length" not in asked.headers:
        return refusal(411, "MissingContentLength")
    md5 = asked.headers.get("content-md5")
    if md5 is not None and md5 != base64.b64encode(hashlib.md5(asked.body).digest()).decode():
        return refusal(400, "BadDigest")
    if asked.signed_address:
        if "authorization" in asked.headers:
            return refusal(400, "InvalidArgument")  # only one way to show who one is
        return _refused_address(asked, door)
    if f"Credential={KEYS['AWS_ACCESS_KEY_ID']}/" not in asked.headers.get("authorization", ""):
        return refusal(403, "InvalidAccessKeyId")
    return None


def _refused_address(asked: Asked, door: Door) -> Answer | None:
    told = asked.query
    begun = datetime.strptime(told["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    now = datetime.now(UTC) + door.late
    if now > begun + timedelta(seconds=int(told["X-Amz-Expires"])) or begun > now + timedelta(minutes=15):
        return refusal(403, "AccessDenied")
    signed = "&".join(each for each in asked.query_text.split("&") if not each.startswith("X-Amz-Signature="))
    headers = {name: asked.headers.get(name, "") for name in told["X-Amz-SignedHeaders"].split(";")}
    request = AWSRequest(asked.method, f"http://{asked.headers['host']}{asked.path}?{signed}", headers)
    request.context["timestamp"] = told["X-Amz-Date"]
    keys = Credentials(KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"])
    signer = S3SigV4QueryAuth(keys, "s3", KEYS["AWS_DEFAULT_REGION"], 0)
    signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    return None if signature == told["X-Amz-Signature"] else refusal(403, "SignatureDoesNotMatch")


@pytest.fixture(scope="session")
def moto_port() -> Iterator[int]:
    """A moto server in this process, with an empty bucket; it ends with the session."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        port = server.get_host_and_port()[1]
        region = f"<LocationConstraint>{KEYS['AWS_DEFAULT_REGION']}</LocationConstraint>"
        asked = f"<CreateBucketConfiguration>{region}</CreateBucketConfiguration>"
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        connection.request("PUT", f"/{BUCKET}", asked, {"Content-Type": "application/xml"})
        assert connection.getresponse().status == 200
        connection.close()
        yield port
    finally:
        server.stop()


@pytest.fixture
def aws_keys(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The keys of the store in the environment of the test."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    return KEYS


@pytest.fixture
def door(moto_port: int, aws_keys: dict[str, str]) -> Iterator[Door]:  # noqa: ARG001
    """The store behind a door of the test's own."""
    with opened_door(moto_port) as opened:
        yield opened
