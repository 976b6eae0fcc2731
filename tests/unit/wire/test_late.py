"""A transport that is made when there is something to send."""

from __future__ import annotations

import asyncio
import threading

from backhaul.wire.late import Late
from backhaul.wire.message import Request, Response


class _Told:
    """Answers everything, and knows in which thread it was made and whether it was closed."""

    def __init__(self) -> None:
        self.thread = threading.current_thread()
        self.is_closed = False

    async def send(self, request: Request) -> Response:
        return Response(200, body=request.url.encode())

    async def close(self) -> None:
        self.is_closed = True


def test_nothing_is_made_before_the_first_request_and_one_for_all() -> None:
    """Several requests that begin at once share it; it is made beside the loop, which goes on."""
    made: list[_Told] = []

    def make() -> _Told:
        made.append(_Told())
        return made[-1]

    async def use() -> list[bytes]:
        late = Late(make)
        assert made == []
        answers = await asyncio.gather(*(late.send(Request("GET", f"http://{number}")) for number in range(5)))
        await late.close()
        return [answer.body for answer in answers]

    assert asyncio.run(use()) == [f"http://{number}".encode() for number in range(5)]
    (only,) = made
    assert only.thread is not threading.main_thread()
    assert only.is_closed


def test_one_that_was_never_needed_is_closed_without_being_made() -> None:
    """A sync that finds everything verified ends like that."""

    def make() -> _Told:
        raise AssertionError("nothing was to be sent")

    asyncio.run(Late(make).close())
