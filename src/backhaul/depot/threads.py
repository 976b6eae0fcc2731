"""Threads for work that waits: for the disk, or for the writer of the database.

asyncio's own pool has few threads on a machine of few cores, which is right for work that computes. Here many wait for
one commit together, and the more come to wait, the fewer commits there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = ThreadPoolExecutor(40, "depot-request")
_BLOB_THREADS = ThreadPoolExecutor(40, "depot-blob")


async def in_thread(work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """What `work` returns; other requests go on meanwhile.

    A caller that is cancelled is told so when the work has ended: nothing is taken away from under it.
    """
    return await _begun(_THREADS, lambda: work(*args, **named))


async def in_blob_thread(work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """The same, for what waits for an object store: one that hangs takes no thread from the lines of runs."""
    return await _begun(_BLOB_THREADS, lambda: work(*args, **named))


class _Outcome(asyncio.Future[T]):
    """What comes of work that is waited for to its end: a task that is cancelled meanwhile hears of it then."""

    def cancel(self, msg: Any | None = None) -> bool:
        """Not now."""
        return False


def _begun(threads: ThreadPoolExecutor, work: Callable[[], T]) -> _Outcome[T]:
    loop = asyncio.get_running_loop()
    outcome: _Outcome[T] = _Outcome(loop=loop)

    def done() -> None:
        try:
            result = work()
        except BaseException as error:
            loop.call_soon_threadsafe(outcome.set_exception, error)
        else:
            loop.call_soon_threadsafe(outcome.set_result, result)

    threads.submit(done)
    return outcome
