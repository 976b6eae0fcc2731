"""The way to the server, one step after another, each with its time; the first step that fails is the reason."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from backhaul.doctor.finding import Finding
from backhaul.errors import BackhaulError, BadRequest, CredentialsRefused, NotFound
from backhaul.sync.destination import DEFAULT_PROJECT
from backhaul.wire.credentials import find_api_key
from backhaul.wire.message import Request, Response
from backhaul.wire.probe import connect, look_up, signer_of
from backhaul.wire.proxy import proxy_for, without_password
from backhaul.wire.remote import RunAddress
from backhaul.wire.server import Server
from backhaul.wire.settings import Settings
from backhaul.wire.tls import tls_context
from backhaul.wire.transport import HttpTransport

_PATIENCE = 10.0
# A signed upload address is refused when the clocks differ by more (S3: 15 minutes).
_MOST_SKEW = 300.0
_LARGE_BODY = 4 << 20
# A run id that nobody has.
_NO_RUN = "backhaul-doctor-asks"


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
    `now` gives Unix seconds; `skew` is how far the server's clock is ahead of it, in seconds, once it has answered;
    `rate` how many bytes a second a large request went with, once one has.
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

    def _questions(self, transport: HttpTransport) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
        parts = urlsplit(self.base_url)
        questions: list[tuple[str, Callable[[], Awaitable[str]]]] = [
            ("proxy", self._proxy),
            ("name", self._look_up),
            ("connection", self._connect),
        ]
        if parts.scheme == "https" and self._proxy_url() is None:
            questions.append(("TLS", self._tls))
        return [
            *questions,
            ("HTTP", lambda: self._http(transport)),
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
        parts = urlsplit(self._proxy_url() or self.base_url)
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)

    async def _look_up(self) -> str:
        host, port = self._first_host()
        return f"{host}: {', '.join(await look_up(host, port))}"

    async def _connect(self) -> str:
        host, port = self._first_host()
        await connect(host, port, _PATIENCE)
        return f"{host}:{port} answers"

    async def _tls(self) -> str:
        host, port = self._first_host()
        context = tls_context(self.env, insecure=self.settings.insecure_disable_ssl)
        return f"signed by {await signer_of(host, port, context, _PATIENCE)}"

    async def _http(self, transport: HttpTransport) -> str:
        response = await transport.send(Request("GET", f"{self.base_url.rstrip('/')}/healthz"))
        return f"status {response.status}{self._clock_difference(response)}{_limits(response)}"

    def _clock_difference(self, response: Response) -> str:
        try:
            self.skew = parsedate_to_datetime(response.headers.get("date", "")).timestamp() - self.now()
        except ValueError:
            return ""
        return f", clock {self.skew:+.0f} s"

    def _server(self, transport: HttpTransport) -> Server:
        if self.api_key is None:
            self.api_key = find_api_key(self.base_url, self.settings, self.env, self.home)
        return Server(transport, self.base_url, self.api_key, extra_headers=self.settings.extra_headers)

    async def _viewer(self, transport: HttpTransport) -> str:
        viewer = await self._server(transport).viewer()
        if viewer is None:
            raise CredentialsRefused(f"{self.base_url} does not know this API key.")
        self.entity = self.entity or viewer.entity
        return f"belongs to {viewer.username or viewer.entity}, default entity {viewer.entity}"

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
        if self.run is None:
            return "not asked: no run of these has been sent there, so that the server tells no upload address"
        # The host that takes files is often another one, and forgotten in the firewall.
        targets = await self._server(transport).create_run_files(self.run, ["config.yaml"])
        response = await transport.send(Request("HEAD", targets[0].url.partition("?")[0]))
        return f"{urlsplit(targets[0].url).hostname} answers, status {response.status}"


def standing_of(steps: Sequence[Step]) -> str:
    """The way in a few words; empty when it was not taken."""
    failed = next((step.name for step in steps if step.error is not None), None)
    if not steps:
        return ""
    if failed is None:
        return "server reachable, key valid"
    if failed == "API key":
        return "server reachable, key not accepted"
    after_the_key = any(step.name == "API key" and step.error is None for step in steps)
    return (
        f"server reachable, key valid, {failed} failed" if after_the_key else f"server not reachable: {failed} failed"
    )


async def _timed(name: str, ask: Callable[[], Awaitable[str]]) -> Step:
    began = time.perf_counter()
    try:
        detail, failure = await ask(), None
    except BackhaulError as error:
        detail, failure = error.message, error
    return Step(name, time.perf_counter() - began, detail, failure)


def _limits(response: Response) -> str:
    """What the server says about its limits, if it does (the RateLimit fields of the IETF draft, as W&B sends them)."""
    told = {name: value for name, value in response.headers.items() if name.startswith("ratelimit-")}
    return "".join(f", {name} {value}" for name, value in sorted(told.items()))


def findings_of(way: Way, steps: Sequence[Step]) -> list[Finding]:
    """The finding of the step that failed, under the code of its error; a clock that is off is one as well."""
    found = [
        Finding(step.error.code, step.error.message, f"{step.name} on the way to {way.base_url}", step.error.next)
        for step in steps
        if step.error is not None
    ]
    if abs(way.skew) > _MOST_SKEW:
        message = f"The server's clock is {way.skew:+.0f} s off this machine's; upload addresses may be refused."
        evidence = f"{way.base_url} is {way.skew:+.0f} s off"
        found.append(Finding("clock-skew", message, evidence, "set the clock: timedatectl set-ntp true"))
    return found
