"""One GraphQL request and its answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from backhaul.errors import BackhaulError, CaptivePortal, TimedOut, UnexpectedAnswer
from backhaul.wire.answers import error_of, is_html, server_words
from backhaul.wire.documents import Document
from backhaul.wire.message import Request, Response, Transport
from backhaul.wire.shape import Node, strict_json


@dataclass(frozen=True)
class GraphQL:
    """The `/graphql` door of one server.

    `timeout` (seconds) is for one request as a whole. `secrets` never show in an error. `clock` gives POSIX seconds.
    """

    transport: Transport
    url: str
    headers: Mapping[str, str]
    timeout: float
    secrets: Sequence[str]
    clock: Callable[[], float]

    async def ask(
        self, document: Document, variables: Mapping[str, object], doing: str, *, patient: bool = False
    ) -> Node:
        """Return the answer's `data`; raises what the transport raises and what `error_of` makes of an answer.

        `patient` is for pages whose size belongs to the run: no limit on the whole then, only on a stall.
        """
        response = await self.send(document, variables, doing, patient=patient)
        error = self.error_of(response, doing)
        if error is not None:
            raise error
        return self.data_of(response, doing)

    async def send(
        self, document: Document, variables: Mapping[str, object], doing: str, *, patient: bool = False
    ) -> Response:
        """Return the answer of any status; raises what the transport raises, and TimedOut after `timeout`."""
        headers = {**self.headers, "Content-Type": "application/json"}
        request = Request("POST", self.url, headers, body_of(document, variables))
        limit = asyncio.timeout(None if patient else self.timeout)
        try:
            async with limit:
                return await self.transport.send(request)
        except TimeoutError:
            raise TimedOut(
                f"{doing} failed: no whole answer within {self.timeout:g} s",
                next="Set WANDB_HTTP_TIMEOUT to more seconds if the server is slow, then run the same command again.",
            ) from None

    def error_of(self, response: Response, doing: str) -> BackhaulError | None:
        """What went wrong according to the answer; 200 is the only status of success here."""
        error = error_of(response, doing, self.clock(), self.secrets)
        if error is None and response.status != 200:
            return UnexpectedAnswer(f"{doing} failed: the server answered {response.status}")
        return error

    def data_of(self, response: Response, doing: str) -> Node:
        """The `data` of an answer; raises UnexpectedAnswer when there is none."""
        if is_html(response):
            raise CaptivePortal(f"{doing} failed: the answer is a web page")
        document = strict_json(response.body, doing)
        data = document.get("data") if isinstance(document, dict) else None
        if not isinstance(data, dict):
            words = server_words(response, self.secrets)
            raise UnexpectedAnswer(f"{doing} failed: the answer has no data{f' ({words})' if words else ''}")
        return Node(data, "data")


def body_of(document: Document, variables: Mapping[str, object]) -> bytes:
    """The body of a request that asks `document`."""
    asked = {"query": document.text.strip(), "variables": variables, "operationName": document.name}
    return json.dumps(asked, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass")
