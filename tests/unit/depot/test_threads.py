"""Work in threads, when whoever asked for it goes away."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

import anyio
import pytest

from backhaul.depot.threads import begun_in_thread, in_thread, outcome


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_taken_away_from_under_work_that_is_under_way(fails: bool) -> None:
    """A client that hangs up in the middle of a download has its request cancelled until it ends, not just once."""
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    seen: list[bool] = []

    def work() -> None:
        begun.set()
        assert go_on.wait(30)
        ended.set()
        if fails:
            raise OSError

    async def request() -> None:
        try:
            await in_thread(work)
        finally:
            seen.append(ended.is_set())

    async def server() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(request)
            await asyncio.to_thread(begun.wait, 30)
            group.cancel_scope.cancel()
            for turn in range(1, 4):
                asyncio.get_running_loop().call_later(0.01 * turn, go_on.set if turn == 3 else lambda: None)

    asyncio.run(server())
    assert seen == [True]


def test_what_others_end_is_waited_for_as_well() -> None:
    """A caller that is cancelled hears of it when they have ended it; one that is not, what came of it."""
    others: Future[str] = Future()
    begun = threading.Event()

    def begin() -> Future[str]:
        begun.set()
        return others

    async def both() -> tuple[bool, object]:
        cancelled = asyncio.create_task(begun_in_thread(begin))
        await asyncio.to_thread(begun.wait, 30)
        cancelled.cancel()
        waiting = asyncio.create_task(outcome(others))
        done, _ = await asyncio.wait([cancelled, waiting], timeout=0.05)
        threading.Thread(target=others.set_result, args=["there"]).start()
        (first, second) = await asyncio.gather(cancelled, waiting, return_exceptions=True)
        return not done and isinstance(first, asyncio.CancelledError), second

    assert asyncio.run(both()) == (True, "there")


@pytest.mark.parametrize("at_once", [True, False])
def test_what_others_fail_at_is_raised(at_once: bool) -> None:
    """Whether it fails before they have it or later."""
    failed: Future[None] = Future()
    failed.set_exception(OSError("no"))

    def begin() -> Future[None]:
        if at_once:
            raise OSError("no")
        return failed

    with pytest.raises(OSError, match="no"):
        asyncio.run(begun_in_thread(begin))
