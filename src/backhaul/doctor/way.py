"""The way to the server, one step after another, each with its time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from backhaul.errors import (
    BackhaulError,
    BadRequest,
    CaptivePortal,
    CredentialsRefused,
    Forbidden,
    NotFound,
    ProxyRefused,
    ServerUnavailable,
    UnexpectedAnswer,
)
from backhaul.sync.destination import DEFAULT_PROJECT
from backhaul.wire.answers import error_of, is_html
from backhaul.wire.credentials import find_key
from backhaul.wire.documents import VIEWER
from backhaul.wire.graphql import body_of
from backhaul.wire.message import Request, Response
from backhaul.wire.probe import Signer, connect, look_up, signer_of
from backhaul.wire.proxy import proxy_for, without_password
from backhaul.wire.remote import RunAddress
from backhaul.wire.server import Server
from backhaul.wire.settings import Settings
from backhaul.wire.shape import strict_json
from backhaul.wire.storage import StorageDoor
from backhaul.wire.tls import tls_context
from backhaul.wire.transport import HttpTransport

_PATIENCE = 10.0
_LARGE_BODY = 4 << 20
# A run id that nobody has.
_NO_RUN = "backhaul-doctor-asks"
# Where W&B's own cloud keeps files.
_CLOUD_STORAGE = "https://storage.googleapis.com/"
_CLOUD = (".wandb.ai", ".forge.coreweave.com")
# Who asks without a key is refused by a GraphQL door, and that is an answer.
_REFUSED = frozenset({400, 401, 403})
# A store that answers so takes no files now; with any other status it is there.
_OUT_OF_ORDER = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the way: what was asked, how long it took (seconds), what came back; `error` when it failed."""

    name: str
    seconds: float
    detail: str
    error: BackhaulError | None = None


@dataclass(slots=True)
class Way:
    """The way to one server, as a sync would take it.

    `entity` and `project` are where runs are to go; `run` is one that the server has, for asking where its files go.
    `now` gives Unix seconds. The rest is what the steps find: `skew` is how far the server's clock is ahead of it, in
    seconds, `rate` how many bytes a second a large request went with, `signer` who signed the server's certificate,
    `limits` what the server says of its limits (the RateLimit fields of the IETF draft, as W&B sends them).
    """

    base_url: str
    settings: Settings
    env: Mapping[str, str]
    home: Path
    entity: str | None = None
    project: str | None = None
    run: RunAddress | None = None
    api_key: str | None = None
    now: Callable[[], float] = time.time
    skew: float = 0.0
    rate: float | None = None
    signer: Signer | None = None
    limits: dict[str, str] = field(default_factory=dict)

    async def steps(self) -> AsyncIterator[Step]:
        """Each step, until one fails: what lies behind it cannot be asked."""
        transport = HttpTransport(
            self.env,
            connect_timeout=_PATIENCE,
            progress_timeout=_PATIENCE,
            http_proxy=self.settings.http_proxy,
            https_proxy=self.settings.https_proxy,
            insecure=self.settings.insecure_disable_ssl or None,
        )
        try:
            for name, ask in self._questions(transport):
                step = await _timed(name, ask)
                yield step
                if step.error is not None:
                    return
        finally:
            await transport.close()

    @property
    def is_of_wandb(self) -> bool:
        """Whether the server is one of W&B's own cloud."""
        return f".{urlsplit(self.base_url).hostname}".endswith(_CLOUD)

    def _questions(self, transport: HttpTransport) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
        questions: list[tuple[str, Callable[[], Awaitable[str]]]] = [
            ("proxy", self._proxy),
            ("name", self._look_up),
            ("connection", self._connect),
        ]
        if urlsplit(self.base_url).scheme == "https":
            questions.append(("TLS", self._tls))
        return [
            *questions,
            ("HTTP", lambda: self._http(transport)),
            ("GraphQL", lambda: self._graphql(transport)),
            ("API key", lambda: self._viewer(transport)),
            ("entity and project", lambda: self._place(transport)),
            ("large request", lambda: self._large(transport)),
            ("storage", lambda: self._storage(transport)),
        ]

    def _proxy_url(self) -> str | None:
        return proxy_for(
            self.base_url, self.env, http_proxy=self.settings.http_proxy, https_proxy=self.settings.https_proxy
        )

    async def _proxy(self) -> str:
        proxy = self._proxy_url()
        return "none; the direct way" if proxy is None else without_password(proxy)

    def _first_host(self) -> tuple[str, int]:
        """Who is spoken to first: the proxy, else the server."""
        return _host_and_port(self._proxy_url() or self.base_url)

    async def _look_up(self) -> str:
        host, port = self._first_host()
        with self._blaming_the_proxy():
            return f"{host}: {', '.join(await look_up(host, port))}"

    async def _connect(self) -> str:
        host, port = self._first_host()
        with self._blaming_the_proxy():
            await connect(host, port, _PATIENCE)
        return f"{host}:{port} answers"

    @contextmanager
    def _blaming_the_proxy(self) -> Iterator[None]:
        """What fails here is the proxy's address, where there is one, and not the server's."""
        try:
            yield
        except BackhaulError as error:
            proxy = self._proxy_url()
            if proxy is None:
                raise
            raise ProxyRefused(f"The proxy {without_password(proxy)} cannot be reached: {error.message}") from error

    async def _tls(self) -> str:
        host, port = _host_and_port(self.base_url)
        context = tls_context(self.env, insecure=self.settings.insecure_disable_ssl)
        self.signer = await signer_of(host, port, context, _PATIENCE, self._proxy_url())
        whose = "" if self.signer.is_public else ", which is no public authority"
        return f"signed by {self.signer.name}{whose}"

    async def _http(self, transport: HttpTransport) -> str:
        response = await transport.send(Request("GET", f"{self._base}/healthz"))
        self.limits = {name: value for name, value in response.headers.items() if name.startswith("ratelimit-")}
        told = "".join(f", {name} {value}" for name, value in sorted(self.limits.items()))
        return f"status {response.status}{self._clock_difference(response)}{told}"

    @property
    def _base(self) -> str:
        return self.base_url.rstrip("/")

    def _clock_difference(self, response: Response) -> str:
        try:
            self.skew = parsedate_to_datetime(response.headers.get("date", "")).timestamp() - self.now()
        except ValueError:
            return ""
        return f", clock {self.skew:+.0f} s"

    async def _graphql(self, transport: HttpTransport) -> str:
        """Whether a GraphQL server is there at all, asked without a key what every W&B server knows."""
        headers, doing = {"Content-Type": "application/json"}, "Asking for GraphQL"
        response = await transport.send(Request("POST", f"{self._base}/graphql", headers, body_of(VIEWER, {})))
        error = error_of(response, doing, self.now())
        if is_html(response) and not isinstance(error, ServerUnavailable):
            raise CaptivePortal(f"{doing} failed: a web page came, with status {response.status}")
        is_refusal = response.status in _REFUSED or isinstance(error, CredentialsRefused | Forbidden)
        if error is not None and not is_refusal:
            raise error
        if not isinstance(strict_json(response.body or b"{}", doing), dict):
            raise UnexpectedAnswer(f"{doing} failed: the answer is no JSON object")
        return f"answers, status {response.status} without a key"

    def _server(self, transport: HttpTransport) -> Server:
        return Server(transport, self.base_url, self.api_key or "", extra_headers=self.settings.extra_headers)

    async def _viewer(self, transport: HttpTransport) -> str:
        where = "the depot's own"
        if self.api_key is None:
            self.api_key, where = find_key(self.base_url, self.settings, self.env, self.home)
        try:
            viewer = await self._server(transport).viewer()
        except CredentialsRefused as error:
            raise CredentialsRefused(f"{error.message} (the key from {where})", next=error.next) from error
        if viewer is None:
            raise CredentialsRefused(f"{self.base_url} does not know the API key from {where}.")
        self.entity = self.entity or viewer.entity
        return f"from {where}; belongs to {viewer.username or viewer.entity}, default entity {viewer.entity}"

    async def _place(self, transport: HttpTransport) -> str:
        """Whether this key may look where runs would go, and write there."""
        server, project = self._server(transport), self.project or DEFAULT_PROJECT
        await server.run_status(self.entity, project, _NO_RUN)
        try:
            # Who may not write is refused before the run is missed; nothing is made by asking.
            await server.create_run_files(RunAddress(self.entity or "", project, _NO_RUN), ["config.yaml"])
        except (NotFound, BadRequest):
            return f"{self.entity}/{project} may be read; nobody refuses to write there"
        return f"{self.entity}/{project} may be read and written"

    async def _large(self, transport: HttpTransport) -> str:
        # A question with one long variable: it changes nothing, and shows whether large bodies pass, and how fast.
        began = time.perf_counter()
        await self._server(transport).ask_with_ballast(_LARGE_BODY)
        self.rate = _LARGE_BODY / (time.perf_counter() - began)
        return f"{_LARGE_BODY >> 20} MiB passed, {self.rate / (1 << 20):.1f} MiB/s"

    async def _storage(self, transport: HttpTransport) -> str:
        """Whether the host that takes files answers: it is often another one, and forgotten in the firewall."""
        url = await self._storage_url(transport)
        if url is None:
            return "not asked: this project has no run yet that would tell where its files go"
        response = await StorageDoor(transport, self.base_url).send(Request("HEAD", url.partition("?")[0]))
        if response.status in _OUT_OF_ORDER:
            raise ServerUnavailable(f"The file storage {urlsplit(url).hostname} answers with status {response.status}.")
        return f"{urlsplit(url).hostname} answers, status {response.status}"

    async def _storage_url(self, transport: HttpTransport) -> str | None:
        server = self._server(transport)
        try:
            if self.run is not None:
                targets = await server.create_run_files(self.run, ["config.yaml"])
                return targets[0].url if targets else None
            url = await server.address_of_some_file(self.entity, self.project or DEFAULT_PROJECT)
        except (NotFound, BadRequest):
            url = None
        except (UnexpectedAnswer, ServerUnavailable):
            # No official client asks about some file: a server that fails at it may take runs all the same.
            if self.run is not None:
                raise
            url = None
        return url or (_CLOUD_STORAGE if self.is_of_wandb else None)


def _host_and_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


async def _timed(name: str, ask: Callable[[], Awaitable[str]]) -> Step:
    began = time.perf_counter()
    try:
        detail, failure = await ask(), None
    except BackhaulError as error:
        detail, failure = error.message, error
    return Step(name, time.perf_counter() - began, detail, failure)
