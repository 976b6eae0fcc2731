"""Questions of one kind that many runs ask at the same time, in few requests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from backhaul.errors import BackhaulError

Question = TypeVar("Question")
Answer = TypeVar("Answer")

# Who asks while so many requests are on their way waits for the end of one, and goes with all who wait by then.
_ON_THEIR_WAY = 2
_MOST_TOGETHER = 16


@dataclass(slots=True)
class _Together(Generic[Question, Answer]):
    """Questions that go in one request, and the task that brings their answers in the same order."""

    questions: list[Question] = field(default_factory=list)
    answers: asyncio.Task[list[Answer]] | None = None


class Gathering(Generic[Question, Answer]):
    """Asks `ask_all`, which answers several questions in one request, in their order.

    When a request for several fails, each asks again alone at once: no run suffers from what another one is answered.
    """

    def __init__(self, ask_all: Callable[[Sequence[Question]], Awaitable[list[Answer]]]) -> None:
        self._ask_all = ask_all
        self._next: _Together[Question, Answer] = _Together()
        self._slots = asyncio.Semaphore(_ON_THEIR_WAY)

    async def ask(self, question: Question) -> Answer:
        """The answer to `question`; raises what is raised for it alone."""
        mine = self._next
        place = len(mine.questions)
        mine.questions.append(question)
        if mine.answers is None:
            mine.answers = asyncio.create_task(self._send(mine))
        if len(mine.questions) == _MOST_TOGETHER:
            self._next = _Together()
        try:
            # Who goes away does not take the others' request along.
            return (await asyncio.shield(mine.answers))[place]
        except BackhaulError:
            if len(mine.questions) == 1:
                raise
        (answer,) = await self._ask_all([question])
        return answer

    async def _send(self, together: _Together[Question, Answer]) -> list[Answer]:
        async with self._slots:
            if self._next is together:
                self._next = _Together()
            return list(await self._ask_all(together.questions))
