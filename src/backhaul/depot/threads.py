"""Threads for work that waits: for the disk, or for the writer of the database.

asyncio's own pool has few threads on a machine of few cores, which is right for work that computes. Here many wait for
one commit together, and the more come to wait, the fewer commits there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = ThreadPoolExecutor(40, "depot-request")
_BLOB_THREADS = ThreadPoolExecutor(40, "depot-blob")


async def in_thread(work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """What `work` returns; other requests go on meanwhile.

    A caller that is cancelled is told so when the work has ended: nothing is taken away from under it.
    """
    return await outcome(_THREADS.submit(work, *args, **named))


async def in_blob_thread(work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """The same, for what waits for an object store: one that hangs takes no thread from the lines of runs."""
    return await outcome(_BLOB_THREADS.submit(work, *args, **named))


async def begun_in_thread(begin: Callable[P, Future[T]], *args: P.args, **named: P.kwargs) -> T:
    """The same for what `begin` begins and others end: no thread waits for them."""
    whole: Future[T] = Future()

    def pass_on(ended: Future[T]) -> None:
        if error := ended.exception():
            whole.set_exception(error)
        else:
            whole.set_result(ended.result())

    def go_on(begun: Future[Future[T]]) -> None:
        if error := begun.exception():
            whole.set_exception(error)
        else:
            begun.result().add_done_callback(pass_on)

    _THREADS.submit(begin, *args, **named).add_done_callback(go_on)
    return await outcome(whole)


async def outcome(work: Future[T]) -> T:
    """What comes of work under way, with the same promise to a caller that is cancelled."""
    loop = asyncio.get_running_loop()
    waited_for: _Outcome[T] = _Outcome(loop=loop)

    def tell(ended: Future[T]) -> None:
        if error := ended.exception():
            waited_for.set_exception(error)
        else:
            waited_for.set_result(ended.result())

    work.add_done_callback(lambda ended: loop.call_soon_threadsafe(tell, ended))
    return await waited_for


def ended(result: T) -> Future[T]:
    """The outcome of work that is done already."""
    work: Future[T] = Future()
    work.set_result(result)
    return work


class _Outcome(asyncio.Future[T]):
    """Not to be cancelled: a task that is cancelled while it waits hears of it when there is something to hear."""

    def cancel(self, msg: Any | None = None) -> bool:
        """Not now."""
        return False
