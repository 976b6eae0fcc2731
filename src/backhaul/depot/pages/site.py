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
from backhaul.depot.graphql.context import Services
from backhaul.depot.keys import Secrets
from backhaul.depot.pages import views
from backhaul.depot.pages.login import COOKIE, SESSION, Login
from backhaul.depot.pages.series import ChartNumbers
from backhaul.depot.refusal import Refused
from backhaul.depot.series import SeriesReader

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

View = Callable[[Request], dict[str, Any]]


class Pages:
    """Answers browsers."""

    def __init__(self, services: Services, keys: Secrets) -> None:
        self._login = Login(keys, services.signer, services.clock)
        self._views = views.Views(services)
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
            Route("/json", self._twin(self._views.index), methods=["GET"]),
            Route("/{entity}/{project}", self._page("index.html", self._views.project), methods=["GET"]),
            Route("/{entity}/{project}/json", self._twin(self._views.project), methods=["GET"]),
            Route(run, self._page("run.html", self._views.run), methods=["GET"]),
            Route(f"{run}/json", self._twin(self._views.run), methods=["GET"]),
            Route(f"{run}/series/json", self._twin(self._read_series), methods=["GET"]),
        ]

    def knows(self, request: Request) -> bool:
        """Whether the browser is signed in."""
        return self._login.knows(request.cookies.get(COOKIE))

    async def _front(self, request: Request) -> Response:
        """The list of runs; with `?key=` a sign-in by ticket, which leaves no ticket in the browser's history."""
        ticket = request.query_params.get("key")
        if ticket is None:
            return await self._page("index.html", self._views.index)(request)
        if not self._login.redeem(ticket):
            return self._render("login.html", {"wrong": "This sign-in address was used already, or is too old."}, 403)
        return self._signed_in(request)

    async def _show_login(self, _request: Request) -> Response:
        return self._render("login.html", {"wrong": None})

    async def _take_login(self, request: Request) -> Response:
        form = parse_qs((await body.read(request)).decode("utf-8", "replace"))
        if not self._login.accepts_key(form.get("key", [""])[0]):
            return self._render("login.html", {"wrong": "This is not the depot's API key."}, 403)
        return self._signed_in(request)

    async def _log_out(self, _request: Request) -> Response:
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE)
        return response

    def _signed_in(self, request: Request) -> Response:
        response = RedirectResponse("/", 303)
        response.set_cookie(
            COOKIE, self._login.session(), max_age=SESSION, httponly=True, samesite="strict",
            secure=request.url.scheme == "https",
        )  # fmt: skip
        return response

    def _page(self, template: str, view: View) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            if not self.knows(request):
                return RedirectResponse("/login", 303)
            try:
                return self._render(template, await run_in_threadpool(view, request))
            except Refused as refused:
                return self._render("missing.html", {"message": refused.message}, refused.status)

        return answer

    def _twin(self, view: View) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            if not self.knows(request):
                raise Refused("user is not logged in", 401)
            return JSONResponse(rows.strict(await run_in_threadpool(view, request)), headers=_HEADERS)

        return answer

    def _read_series(self, request: Request) -> dict[str, Any]:
        keys = request.query_params.getlist("key")
        return self._numbers.read(self._views.find(request), keys, request.query_params)

    def _render(self, template: str, values: dict[str, Any], status: int = 200) -> Response:
        text = self._templates.get_template(template).render(values)
        return Response(text, status, _HEADERS, "text/html")
