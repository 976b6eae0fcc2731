"""The pages' paths, who may see them, and how they are answered.

Each page has a JSON twin under the same address with `format=json` in its query: the values that the page shows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from backhaul.depot import body, rows
from backhaul.depot.callers import base_of, caller, from_here
from backhaul.depot.doorkeeper import Doorkeeper
from backhaul.depot.graphql.context import Services
from backhaul.depot.graphql.endpoint import to_json
from backhaul.depot.model import Account, User
from backhaul.depot.pages import (
    artifacts,
    charts,
    comparison,
    files,
    logs,
    media,
    overview,
    projects,
    runs,
    shown,
)
from backhaul.depot.pages.login import COOKIE, SESSION, Sessions, Tickets
from backhaul.depot.pages.series import ChartNumbers
from backhaul.depot.pages.visit import Visit
from backhaul.depot.refusal import Refused
from backhaul.depot.series import SeriesReader
from backhaul.depot.threads import in_thread

_TEMPLATES = Path(__file__).parent / "templates"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_LARGEST_FORM = 4096  # bytes; nobody has shown a key yet

View = Callable[[Visit], dict[str, Any]]

_PROJECT = "/{entity}/{project}"
_RUN = f"{_PROJECT}/runs/{{run}}"
_ARTIFACTS = f"{_PROJECT}/artifacts"

PAGES: dict[str, tuple[str, View]] = {
    "/": ("projects.html", projects.view),
    _PROJECT: ("runs.html", runs.view),
    f"{_PROJECT}/compare": ("comparison.html", comparison.view),
    _ARTIFACTS: ("artifacts.html", artifacts.every),
    f"{_ARTIFACTS}/{{type}}/{{collection}}": ("collection.html", artifacts.collection),
    f"{_ARTIFACTS}/{{type}}/{{collection}}/{{version}}": ("artifact.html", artifacts.version),
    _RUN: ("charts.html", charts.metrics),
    f"{_RUN}/overview": ("overview.html", overview.view),
    f"{_RUN}/system": ("charts.html", charts.system),
    f"{_RUN}/media": ("media.html", media.view),
    f"{_RUN}/logs": ("logs.html", logs.view),
    f"{_RUN}/files": ("files.html", files.view),
    f"{_RUN}/artifacts": ("run_artifacts.html", artifacts.of_run),
}
"""Path → template and the view whose values it shows."""


class Pages:
    """Answers browsers."""

    def __init__(self, services: Services, people: Doorkeeper, tickets: Tickets) -> None:
        self._services = services
        self._people = people
        self._tickets = tickets
        self._sessions = Sessions(people, services.signer, services.clock)
        self._numbers = ChartNumbers(services.store, SeriesReader(services.store, services.history))
        self._templates = Environment(
            loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True,
        )  # fmt: skip
        self._templates.filters |= {"bytes": shown.size, "duration": shown.duration, "shown": shown.text}

    def routes(self) -> list[Route]:
        """The paths, the fixed ones first."""
        return [
            Route("/login", self._show_login, methods=["GET"]),
            Route("/login", self._take_login, methods=["POST"]),
            Route("/logout", self._log_out, methods=["POST"]),
            *(Route(path, self._page(*page), methods=["GET"]) for path, page in PAGES.items()),
            Route(f"{_RUN}/series", self._page(None, self._numbers.view), methods=["GET"]),
            Route(f"{_RUN}/state", self._page(None, overview.state), methods=["GET"]),
        ]

    def user(self, request: Request) -> User | None:
        """Who is signed in with this browser."""
        return self._sessions.user(request.cookies.get(COOKIE))

    async def _show_login(self, _request: Request) -> Response:
        return self._render("login.html", {"wrong": None})

    async def _take_login(self, request: Request) -> Response:
        from_here(request, self._services.public_url)
        form = parse_qs((await body.read(request, _LARGEST_FORM)).decode("utf-8", "replace"))
        try:
            account = await in_thread(self._people.by_key, form.get("key", [""])[0].strip(), caller(request))
        except Refused as refused:
            return self._render("login.html", {"wrong": refused.message}, refused.status)
        if account is None:
            return self._render("login.html", {"wrong": "This is not a key of this depot."}, 403)
        return self._signed_in(request, account)

    async def _log_out(self, request: Request) -> Response:
        from_here(request, self._services.public_url)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE)
        return response

    def _take_ticket(self, request: Request) -> Response:
        """Signs in by the address that works once, and leaves no ticket in the browser's history."""
        if not self._tickets.redeem(request.query_params["key"]):
            return self._render("login.html", {"wrong": "This sign-in address was used already, or is too old."}, 403)
        return self._signed_in(request, self._people.operator)

    def _signed_in(self, request: Request, account: Account) -> Response:
        response = RedirectResponse("/", 303)
        base = base_of(request, self._services.public_url)
        response.set_cookie(
            COOKIE, self._sessions.make(account), max_age=SESSION, httponly=True, samesite="strict",
            secure=base.startswith("https:"),
        )  # fmt: skip
        return response

    def _page(self, template: str | None, view: View) -> Callable[[Request], Awaitable[Response]]:
        """Answers with the view's values: as JSON when that is asked for, or when there is no template."""

        async def answer(request: Request) -> Response:
            if request.url.path == "/" and "key" in request.query_params:
                return await in_thread(self._take_ticket, request)
            user = await in_thread(self.user, request)
            if template is None or request.query_params.get("format") == "json":
                return await self._twin(request, user, view)
            if user is None:
                return RedirectResponse("/login", 303)
            visit = Visit(self._services.seen_by(user), request, user)
            try:
                values = await in_thread(view, visit)
            except Refused as refused:
                return self._render("missing.html", {"message": refused.message}, refused.status)
            return await in_thread(self._render, template, values | {"here": visit.address})

        return answer

    async def _twin(self, request: Request, user: User | None, view: View) -> Response:
        if user is None:
            raise Refused("user is not logged in", 401)
        values = await in_thread(view, Visit(self._services.seen_by(user), request, user))
        return Response(to_json(rows.strict(values)), headers=_HEADERS, media_type="application/json")

    def _render(self, template: str, values: dict[str, Any], status: int = 200) -> Response:
        text = self._templates.get_template(template).render(values)
        return Response(text.encode("utf-8", "replace"), status, _HEADERS, "text/html; charset=utf-8")
