"""The depot as an ASGI application: who may do what, and which part answers."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from backhaul.depot import body, file_stream, log
from backhaul.depot.callers import base_of, caller
from backhaul.depot.doorkeeper import Doorkeeper
from backhaul.depot.graphql import GraphQLEndpoint
from backhaul.depot.graphql.context import Context, Services
from backhaul.depot.graphql.endpoint import to_json
from backhaul.depot.keys import shown_key
from backhaul.depot.model import Delivery, User
from backhaul.depot.pages import Pages
from backhaul.depot.pages.assets import Assets
from backhaul.depot.pages.login import Tickets
from backhaul.depot.refusal import Refused, of_disk
from backhaul.depot.run_numbers import RunNumbers
from backhaul.depot.storage import BadDigest, Storage, target_of
from backhaul.depot.threads import in_thread, outcome

_LOG = logging.getLogger("backhaul.depot")

_BAD_DIGEST = "<Error><Code>BadDigest</Code><Message>The Content-MD5 does not match what arrived.</Message></Error>"
"""As S3 says it, which clients of object stores understand."""
_REFUSAL_HEADERS = {401: {"WWW-Authenticate": 'Basic realm="depot"'}, 429: {"Retry-After": "5"}}

_SHORT = 16 << 10  # bytes of lines that are taken apart without a thread
_KEY_START = 8  # characters of a key that tell which one it is, and no more of it

Endpoint = Callable[[Request], Awaitable[Response]]


class App:
    """The endpoints that clients use, over the services of one depot."""

    def __init__(self, services: Services, people: Doorkeeper, tickets: Tickets) -> None:
        self._services = services
        self._people = people
        self._graphql = GraphQLEndpoint()
        self._numbers = RunNumbers()
        self._storage = Storage(services, self._numbers)
        self._pages = Pages(services, people, tickets)

    def routes(self) -> list[Route | Mount]:
        """All paths. Storage addresses carry their own permission; all else wants the key, or a page's cookie.

        The pages begin with the name of an entity, which has no colon: an address that does is none of theirs. Those
        without one that look like pages come behind them.
        """
        return [
            Route("/graphql", self._keyed(self._answer_graphql), methods=["POST"]),
            Route("/files/{entity}/{project}/{run}/file_stream", self._keyed(self._take_lines), methods=["POST"]),
            *self._file_routes("/:files", "/:storage"),
            *self._artifact_routes(),
            Route("/healthz", _healthy, methods=["GET"]),
            Route("/sdk/otel/v1/{signal}", _not_kept, methods=["POST"]),
            Mount("/:static", Assets()),
            *self._pages.routes(),
            *self._file_routes("/files", "/storage"),
        ]

    def _file_routes(self, with_key: str, signed: str) -> list[Route]:
        """The bytes of files of runs: for those who show the key, and by signed address."""
        file = "{entity}/{project}/{run}/{path:path}"
        return [
            Route(f"{with_key}/{file}", self._keyed(self._give_file, cookie=True), methods=["GET"]),
            Route(f"{signed}/{file}", self._storage.put, methods=["PUT"]),
            Route(f"{signed}/{file}", self._storage.get, methods=["GET"]),
        ]

    def _artifact_routes(self) -> list[Route | Mount]:
        """The bytes of artifacts: by signed address, and by names and digest for those who show the key."""
        content = "/wandb_artifacts/{project_id:int}/{artifact_id:int}/{md5}"
        manifest = "/manifests/{manifest_id:int}/wandb_manifest.json"
        place = "/artifactsV2/{region}/{entity}/{project}/{collection}"
        return [
            Route(content, self._storage.put_content, methods=["PUT"]),
            Route(content, self._storage.get_content, methods=["GET"]),
            Route("/uploads/{upload:int}/{number:int}", self._storage.put_part, methods=["PUT"]),
            Route(manifest, self._storage.put_manifest, methods=["PUT"]),
            Route(manifest, self._storage.get_manifest, methods=["GET"]),
            Route(
                f"{place}/{{birth}}/{{md5}}/{{name:path}}",
                self._keyed(self._storage.get_entry, cookie=True),
                methods=["GET"],
            ),
        ]

    def _keyed(self, endpoint: Endpoint, cookie: bool = False) -> Endpoint:
        """The endpoint for those who show the key; the cookie of the pages counts only for reading."""

        async def guarded(request: Request) -> Response:
            key = shown_key(request.headers.get("authorization") or "")
            known = self._people.remembered(key) if key else None
            user = known.user if known else await in_thread(self._user, request, key, cookie)
            if user is None:
                raise Refused("user is not logged in", 401)
            request.state.user = user
            request.state.services = self._services.seen_by(user)
            return await endpoint(request)

        return guarded

    def _user(self, request: Request, key: str | None, cookie: bool) -> User | None:
        """Whose key it is, or whose cookie where that counts."""
        account = None if key is None else self._people.by_key(key, caller(request))
        if account is not None:
            return account.user
        return self._pages.user(request) if cookie else None

    async def _answer_graphql(self, request: Request) -> Response:
        data = await body.read(request)
        return await in_thread(self._execute, request, data, _context(request))

    def _execute(self, request: Request, data: bytes, context: Context) -> Response:
        asked = body.parse_object(data)
        status, answer = self._graphql.answer(asked, context)
        for error in answer.get("errors", ()):
            log.refused(request, status, error["message"], asked.get("operationName"))
        return Response(to_json(answer), status, media_type="application/json")

    async def _take_lines(self, request: Request) -> Response:
        data = await body.read(request)
        services: Services = request.state.services
        number = await self._run_number(request)
        writer = request.headers.get(file_stream.WRITER)
        short = len(data) < _SHORT
        delivery = _delivery(data, writer) if short else await in_thread(_delivery, data, writer)
        stop = await outcome(services.store.deliver(number, delivery))
        if delivery.batches:
            services.digester.note(number)
        services.brought(number, delivery.uploaded)
        return JSONResponse(file_stream.ANSWER | {"stopped": True} if stop else file_stream.ANSWER)

    async def _run_number(self, request: Request) -> int:
        where = request.path_params
        place = where["entity"], where["project"], where["run"]
        known = self._numbers.remembered(place, request.state.user)
        if known is not None:
            return known
        return await in_thread(self._numbers.get, place, request.state.services.store)

    async def _give_file(self, request: Request) -> Response:
        store = request.state.services.store
        return await in_thread(self._storage.file_response, request, store, target_of(request))


def _delivery(data: bytes, writer: str | None) -> Delivery:
    return file_stream.parse(body.parse_object(data), writer)


def _context(request: Request) -> Context:
    key = shown_key(request.headers.get("authorization") or "") or ""
    services: Services = request.state.services
    return Context(services, base_of(request, services.public_url), request.state.user, key[:_KEY_START])


def create_app(services: Services, people: Doorkeeper, tickets: Tickets) -> Starlette:
    """The application over the services, for those whom the doorkeeper knows."""
    handlers = {
        Refused: _refused,
        ClientDisconnect: _gone,
        OSError: _unreadable,
        404: _no_such_path,
        405: _no_such_path,
        500: _broken,
    }
    return Starlette(routes=App(services, people, tickets).routes(), exception_handlers=handlers)  # type: ignore[arg-type]


async def _healthy(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _not_kept(_request: Request) -> Response:
    """What recent SDKs tell of their own working, every few seconds: nobody reads it here, and no log is full of it."""
    return Response(status_code=200)


async def _refused(request: Request, error: Refused) -> Response:
    log.refused(request, error.status, error.message)
    if isinstance(error, BadDigest):
        return Response(_BAD_DIGEST, error.status, media_type="application/xml")
    return JSONResponse({"errors": [{"message": error.message}]}, error.status, _REFUSAL_HEADERS.get(error.status))


async def _unreadable(request: Request, error: OSError) -> Response:
    """The disk failed under a request that only reads; those that store say so themselves."""
    return await _refused(request, of_disk(error))


async def _no_such_path(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    return await _refused(request, Refused(f"no such address: {request.url.path}", status))


async def _gone(request: Request, _error: ClientDisconnect) -> Response:
    """The client went away in the middle; nobody reads this answer."""
    log.refused(request, 400, "the client went away before its request was whole")
    return Response(status_code=400)


async def _broken(request: Request, error: Exception) -> Response:
    _LOG.error("failed", exc_info=error, extra={"facts": {"method": request.method, "path": request.url.path}})
    return JSONResponse({"errors": [{"message": "internal error of the depot"}]}, 500)
