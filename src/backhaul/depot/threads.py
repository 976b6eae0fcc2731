"""Threads for work that waits: for the disk, or for the writer of the database.

asyncio's own pool has few threads on a machine of few cores, which is right for work that computes. Here many wait for
one commit together, and the more come to wait, the fewer commits there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = ThreadPoolExecutor(40, "depot-request")
_BLOB_THREADS = ThreadPoolExecutor(40, "depot-blob")


async def in_thread(work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """What `work` returns; other requests go on meanwhile.

    A caller that is cancelled is told so when the work has ended: nothing is taken away from under it.
    """
    return await _outcome(_THREADS, lambda: work(*args, **named))


async def in_blob_thread(work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """The same, for what waits for an object store: one that hangs takes no thread from the lines of runs."""
    return await _outcome(_BLOB_THREADS, lambda: work(*args, **named))


async def _outcome(threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    outcome = asyncio.get_running_loop().run_in_executor(threads, work)
    try:
        return await asyncio.shield(outcome)
    except asyncio.CancelledError:
        while not outcome.done():  # a task group cancels again and again
            with suppress(asyncio.CancelledError):
                await asyncio.wait([outcome])
        outcome.exception()  # nobody is left to hear of it
        raise
