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
    """Questions that go in one request, the task that brings their answers in the same order, and how many wait."""

    questions: list[Question] = field(default_factory=list)
    answers: asyncio.Task[list[Answer]] | None = None
    waiting: int = 0


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
        answers = mine.answers = mine.answers or self._begun(mine)
        if len(mine.questions) == _MOST_TOGETHER:
            self._next = _Together()
        mine.waiting += 1
        try:
            # Who goes away does not take the others' request along.
            return (await asyncio.shield(answers))[place]
        except BackhaulError:
            if len(mine.questions) == 1:
                raise
        finally:
            mine.waiting -= 1
            if not mine.waiting and not answers.done():
                self._give_up(mine, answers)
        (answer,) = await self._ask_all([question])
        return answer

    def _begun(self, together: _Together[Question, Answer]) -> asyncio.Task[list[Answer]]:
        task = asyncio.create_task(self._send(together))
        # When all who asked have gone, nobody else looks at what became of it.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    def _give_up(self, together: _Together[Question, Answer], answers: asyncio.Task[list[Answer]]) -> None:
        """All who asked have gone: the request need not go on, and nobody else may join it."""
        answers.cancel()
        if self._next is together:
            self._next = _Together()

    async def _send(self, together: _Together[Question, Answer]) -> list[Answer]:
        async with self._slots:
            if self._next is together:
                self._next = _Together()
            return list(await self._ask_all(together.questions))
