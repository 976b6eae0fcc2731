"""Questions that go together: few requests, each its own answer, and nobody suffers from what befalls another."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence
from typing import Any

import pytest

from backhaul.errors import ConnectionLost, NotFound
from backhaul.wire.gathering import Gathering


class _Server:
    """Answers a question with its text in capitals; holds requests until it is let go."""

    def __init__(self) -> None:
        self.requests: list[list[str]] = []
        self.cancelled = 0
        self.open = asyncio.Event()

    async def ask(self, questions: Sequence[str]) -> list[str]:
        self.requests.append(list(questions))
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise ConnectionLost("the connection was closed meanwhile") from None
        if "bad" in questions:
            raise NotFound("there is no such thing")
        return [question.upper() for question in questions]


async def _asked(gathering: Gathering[str, str], *questions: str) -> list[asyncio.Task[str]]:
    tasks = [asyncio.create_task(gathering.ask(question)) for question in questions]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


def test_what_is_asked_while_two_requests_are_on_their_way_goes_together() -> None:
    """Ten questions in three requests, each with its own answer."""

    async def scenario() -> None:
        server = _Server()
        gathering = Gathering(server.ask)
        tasks = await _asked(gathering, "a")
        tasks += await _asked(gathering, "b")
        tasks += await _asked(gathering, *"cdefghij")
        server.open.set()
        assert await asyncio.gather(*tasks) == list("ABCDEFGHIJ")
        assert server.requests == [["a"], ["b"], list("cdefghij")]

    asyncio.run(scenario())


def test_a_question_that_is_refused_costs_the_others_nothing() -> None:
    """Those that went with it ask again alone."""

    async def scenario() -> None:
        server = _Server()
        gathering = Gathering(server.ask)
        first = await _asked(gathering, "x", "y")
        tasks = await _asked(gathering, "a", "bad", "b")
        server.open.set()
        answers = await asyncio.gather(*first, *tasks, return_exceptions=True)
        assert [answers[0], answers[1], answers[2], answers[4]] == ["X", "Y", "A", "B"]
        assert isinstance(answers[3], NotFound)

    asyncio.run(scenario())


@pytest.mark.parametrize("gone", [1, 2])
def test_who_goes_away_leaves_the_others_their_answer_and_nothing_behind(gone: int) -> None:
    """One of two: the other has its answer. Both: the request ends, and what became of it troubles nobody."""

    async def scenario() -> None:
        complaints: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        server = _Server()
        gathering = Gathering(server.ask)
        tasks = await _asked(gathering, "a", "b")
        for task in tasks[:gone]:
            task.cancel()
        await asyncio.wait(tasks[:gone])
        await asyncio.sleep(0)
        later = await _asked(gathering, "c")
        server.open.set()
        assert await asyncio.gather(*tasks[gone:], *later) == ["B", "C"][gone - 1 :]
        assert server.cancelled == (1 if gone == 2 else 0)
        del tasks
        gc.collect()
        await asyncio.sleep(0)
        assert complaints == []

    asyncio.run(scenario())
