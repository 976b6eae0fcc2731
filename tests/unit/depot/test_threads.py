"""Work in threads, when whoever asked for it goes away."""

from __future__ import annotations

import asyncio
import threading

import anyio
import pytest

from backhaul.depot.threads import in_thread


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
