"""The pages' paths, who may see them, and how they are answered.

Each page has a JSON twin under the same path: `…/json`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from backhaul.depot import body, rows
from backhaul.depot.callers import base_of, caller, from_here
from backhaul.depot.doorkeeper import Doorkeeper
from backhaul.depot.graphql.context import Services
from backhaul.depot.model import User
from backhaul.depot.pages.login import COOKIE, SESSION, Sessions, Tickets
from backhaul.depot.pages.series import ChartNumbers
from backhaul.depot.pages.views import Views
from backhaul.depot.refusal import Refused
from backhaul.depot.series import SeriesReader
from backhaul.depot.store.users import Account

_TEMPLATES = Path(__file__).parent / "templates"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

View = Callable[[Views, Request], dict[str, Any]]


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

    def routes(self) -> list[Route]:
        """The paths, the fixed ones first."""
        run = "/{entity}/{project}/runs/{run}"
        return [
            Route("/login", self._show_login, methods=["GET"]),
            Route("/login", self._take_login, methods=["POST"]),
            Route("/logout", self._log_out, methods=["POST"]),
            Route("/", self._front, methods=["GET"]),
            Route("/json", self._twin(Views.index), methods=["GET"]),
            Route("/{entity}/{project}", self._page("index.html", Views.project), methods=["GET"]),
            Route("/{entity}/{project}/json", self._twin(Views.project), methods=["GET"]),
            Route(run, self._page("run.html", Views.run), methods=["GET"]),
            Route(f"{run}/json", self._twin(Views.run), methods=["GET"]),
            Route(f"{run}/series/json", self._twin(self._read_series), methods=["GET"]),
        ]

    def user(self, request: Request) -> User | None:
        """Who is signed in with this browser."""
        return self._sessions.user(request.cookies.get(COOKIE))

    async def _front(self, request: Request) -> Response:
        """The list of runs; with `?key=` a sign-in by ticket, which leaves no ticket in the browser's history."""
        ticket = request.query_params.get("key")
        if ticket is None:
            return await self._page("index.html", Views.index)(request)
        if not self._tickets.redeem(ticket):
            return self._render("login.html", {"wrong": "This sign-in address was used already, or is too old."}, 403)
        return self._signed_in(request, self._people.operator)

    async def _show_login(self, _request: Request) -> Response:
        return self._render("login.html", {"wrong": None})

    async def _take_login(self, request: Request) -> Response:
        from_here(request, self._services.public_url)
        form = parse_qs((await body.read(request)).decode("utf-8", "replace"))
        try:
            account = await run_in_threadpool(self._people.by_key, form.get("key", [""])[0].strip(), caller(request))
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

    def _signed_in(self, request: Request, account: Account) -> Response:
        response = RedirectResponse("/", 303)
        base = base_of(request, self._services.public_url)
        response.set_cookie(
            COOKIE, self._sessions.make(account), max_age=SESSION, httponly=True, samesite="strict",
            secure=base.startswith("https:"),
        )  # fmt: skip
        return response

    def _page(self, template: str, view: View) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            user = await run_in_threadpool(self.user, request)
            if user is None:
                return RedirectResponse("/login", 303)
            try:
                return self._render(template, await run_in_threadpool(view, self._views(user), request))
            except Refused as refused:
                return self._render("missing.html", {"message": refused.message}, refused.status)

        return answer

    def _twin(self, view: View) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            user = await run_in_threadpool(self.user, request)
            if user is None:
                raise Refused("user is not logged in", 401)
            found = await run_in_threadpool(view, self._views(user), request)
            return JSONResponse(rows.strict(found), headers=_HEADERS)

        return answer

    def _views(self, user: User) -> Views:
        """What the user may look at."""
        return Views(self._services.seen_by(user))

    def _read_series(self, views: Views, request: Request) -> dict[str, Any]:
        keys = request.query_params.getlist("key")
        return self._numbers.read(views.find(request), keys, request.query_params)

    def _render(self, template: str, values: dict[str, Any], status: int = 200) -> Response:
        text = self._templates.get_template(template).render(values)
        return Response(text, status, _HEADERS, "text/html")
