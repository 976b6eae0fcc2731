"""How much may be on its way at one time."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator

import pytest

from backhaul.sync.at_once import MOST_RUNS, Budget, runs_at_once


@pytest.fixture
def limit() -> Iterator[None]:
    """The limit of open files, as it was, when the test is over."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("limit")
@pytest.mark.parametrize(("descriptors", "runs"), [(1024, MOST_RUNS), (512, 90), (256, 39), (70, 2), (20, 1)])
def test_fewer_runs_go_together_where_few_files_may_be_open(descriptors: int, runs: int) -> None:
    """And one goes in any case."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, hard))
    assert runs_at_once() == runs


def test_a_user_may_ask_for_fewer_runs() -> None:
    """The number of descriptors is only a bound."""
    assert runs_at_once(3) == 3


def test_who_wants_more_than_is_free_waits_and_who_wants_little_does_not() -> None:
    """All that is held together is never more than there is; one who wants more than all waits for all."""

    async def work() -> list[str]:
        budget, told, release = Budget(10), [], asyncio.Event()

        async def hold(name: str, amount: int) -> None:
            async with budget.hold(amount):
                told.append(name)
                await release.wait()

        tasks = [asyncio.create_task(hold(name, amount)) for name, amount in (("a", 8), ("large", 99), ("b", 2))]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        before = list(told)
        release.set()
        await asyncio.gather(*tasks)
        return [*before, "|", *told]

    assert asyncio.run(work()) == ["a", "b", "|", "a", "b", "large"]


def test_who_goes_away_while_waiting_takes_nothing_along() -> None:
    """A cancelled wait neither holds anything nor wakes itself."""

    async def work() -> None:
        budget = Budget(1)
        async with budget.hold(1):
            waiting = asyncio.create_task(budget.hold(1).__aenter__())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        async with asyncio.timeout(1), budget.hold(1):
            pass

    asyncio.run(work())
