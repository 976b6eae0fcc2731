"""The only door to the network."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Mapping
from importlib import import_module
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from backhaul.errors import BackhaulError, ProxyRefused, TimedOut, TlsFailure, UnexpectedAnswer
from backhaul.wire.body import BodyPayload
from backhaul.wire.breakage import breakage
from backhaul.wire.message import Request, Response
from backhaul.wire.pace import Pace
from backhaul.wire.proxy import proxy_for
from backhaul.wire.stall import StallWatch
from backhaul.wire.tls import tls_context
from backhaul.wire.truth import is_true

_MAX_REDIRECTS = 5
# Shorter than what common servers allow (uvicorn: 5 s), so that we hang up first and no request meets a closing door.
_IDLE_SECONDS = 4.0
_MOST_HOSTS = 256
_ADDED_BY_AIOHTTP = ("Content-Type", "User-Agent")


class HttpTransport:
    """Send requests over HTTP/1.1 with one shared pool of connections; never try anything twice.

    `connections` bounds what is open at one time; further requests wait their turn, without a limit on that wait.
    `connect_timeout` (seconds) covers TCP and TLS, `progress_timeout` the longest time in which no byte moves either
    way; the whole may last as long as it needs. A connection unused for `idle_timeout` is closed. `max_answer` (bytes)
    bounds an answer's body. Proxies and certificate bundles come from `env`; `http_proxy`, `https_proxy` and `insecure`
    are wandb's settings and default to its variables there. `pace` holds back request bodies of all connections.
    """

    def __init__(
        self,
        env: Mapping[str, str] | None = None,
        *,
        connections: int = 16,
        connect_timeout: float = 10.0,
        progress_timeout: float = 60.0,
        idle_timeout: float = _IDLE_SECONDS,
        max_answer: int = 64 * 1024 * 1024,
        http_proxy: str | None = None,
        https_proxy: str | None = None,
        insecure: bool | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._env = os.environ if env is None else env
        self._http_proxy = http_proxy or self._env.get("WANDB_HTTP_PROXY")
        self._https_proxy = https_proxy or self._env.get("WANDB_HTTPS_PROXY")
        self._insecure = is_true(self._env.get("WANDB_INSECURE_DISABLE_SSL")) if insecure is None else insecure
        self._pace = pace
        self._connect_timeout = connect_timeout
        self._progress_timeout = progress_timeout
        self._idle_timeout = idle_timeout
        self._max_answer = max_answer
        self._slots = asyncio.Semaphore(connections)
        self._proxies: dict[tuple[str, str], str | None] = {}
        self._session: aiohttp.ClientSession | None = None
        self._tls: ssl.SSLContext | None = None

    async def send(self, request: Request) -> Response:
        """Return the answer to `request`; redirects are followed for GET and HEAD only.

        Raises as `Transport` promises.
        """
        proxy = self._proxy_of(request.url)
        session = self._opened_session()
        # The wait for a free slot lies outside of the watch: it is our own doing, not a stall of the other side.
        async with self._slots:
            response = await self._exchange(session, request, proxy)
        if response.status == 407:
            raise ProxyRefused("The proxy asks for a user and a password that it accepts (407)")
        return response

    async def close(self) -> None:
        """Close all connections; the transport may be used again afterwards."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _proxy_of(self, url: str) -> str | None:
        """The proxy on the way there: found out once for each host, as the environment does not change."""
        scheme, _, rest = url.partition("://")
        there = scheme, rest.partition("/")[0]
        if there not in self._proxies:
            if len(self._proxies) == _MOST_HOSTS:
                self._proxies.clear()
            self._proxies[there] = self._proxy_for(url)
        return self._proxies[there]

    def _proxy_for(self, url: str) -> str | None:
        try:
            return proxy_for(url, self._env, http_proxy=self._http_proxy, https_proxy=self._https_proxy)
        except ValueError as error:
            raise breakage(error, url, None) from error

    async def _exchange(self, session: aiohttp.ClientSession, request: Request, proxy: str | None) -> Response:
        watch = StallWatch(self._progress_timeout)
        body = None if request.body is None else BodyPayload(request.body, watch, self._pace)
        try:
            async with watch:
                return await self._ask(session, request, body, proxy, watch)
        except aiohttp.ClientConnectorCertificateError as error:
            raise await self._not_trusted(error, request.url, proxy) from error
        except aiohttp.ServerTimeoutError as error:
            raise breakage(error, request.url, proxy) from error
        except TimeoutError as error:
            host = URL(request.url).host
            raise TimedOut(f"No byte moved to or from {host} for {self._progress_timeout:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if body is not None and body.failure is not None:
                raise body.failure from error
            raise breakage(error, request.url, proxy) from error

    async def _not_trusted(self, error: Exception, url: str, proxy: str | None) -> BackhaulError:
        """What is wrong with the certificate, and who signed it: by that a site knows the proxy that opens TLS."""
        told, there = breakage(error, url, proxy), urlsplit(url)
        # Only now: what reads certificates takes long to load.
        shown = import_module("backhaul.wire.probe").signer_shown
        signer = await shown(there.hostname or "", there.port or 443, self._connect_timeout, proxy)
        if signer is None or not isinstance(told, TlsFailure):
            return told
        return TlsFailure(f"{told.message}; it is signed by {signer.name}")

    async def _ask(
        self,
        session: aiohttp.ClientSession,
        request: Request,
        body: BodyPayload | None,
        proxy: str | None,
        watch: StallWatch,
    ) -> Response:
        follows = request.method in ("GET", "HEAD")
        # A redirect may lead from here to TLS, and a proxy may speak it.
        is_plain = request.url.startswith("http:") and proxy is None and not follows
        async with session.request(
            request.method,
            _as_it_stands(request.url),
            headers=_with_length(request, body),
            data=body,
            proxy=proxy,
            allow_redirects=follows,
            max_redirects=_MAX_REDIRECTS,
            skip_auto_headers=_ADDED_BY_AIOHTTP,
            ssl=True if is_plain else self._tls_context(),
        ) as answer:
            return Response(answer.status, _plain(answer.headers), await self._body_of(answer, watch))

    async def _body_of(self, answer: aiohttp.ClientResponse, watch: StallWatch) -> bytes:
        received = bytearray()
        while part := await answer.content.readany():
            watch.count(len(part))
            received += part
            if len(received) > self._max_answer:
                raise UnexpectedAnswer(f"The answer of {answer.url.host} is longer than {self._max_answer} bytes")
        return bytes(received)

    def _tls_context(self) -> ssl.SSLContext:
        """Whose certificates count. To load them takes a while, so that it is done when TLS may be needed."""
        self._tls = self._tls or tls_context(self._env, insecure=self._insecure)
        return self._tls

    def _opened_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=0,  # the semaphore counts
                keepalive_timeout=self._idle_timeout,
                resolver=aiohttp.ThreadedResolver(),  # the system's own lookup, with all that a site configured
            )
            # A name server that is silent is bounded by `connect`, TCP and TLS by `sock_connect`.
            timeout = aiohttp.ClientTimeout(
                total=None, connect=3 * self._connect_timeout, sock_connect=self._connect_timeout
            )
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
            )
            # aiohttp would silently repeat a PUT or GET on a connection that was found closed; retrying is not its job.
            self._session._retry_connection = False
        return self._session


def _as_it_stands(url: str) -> URL:
    """The URL without a second quoting, which would break the signature of a signed upload URL."""
    plain = url.isascii() and url.isprintable() and " " not in url
    return URL(url, encoded=plain)


def _with_length(request: Request, body: BodyPayload | None) -> dict[str, str]:
    headers = {name: value for name, value in request.headers.items() if name.lower() != "content-length"}
    if body is not None or request.method not in ("GET", "HEAD"):
        headers["Content-Length"] = str(0 if body is None else body.size)
    return headers


def _plain(headers: Mapping[str, str]) -> dict[str, str]:
    plain: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        plain[key] = f"{plain[key]}, {value}" if key in plain else value
    return plain
