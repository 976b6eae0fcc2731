"""How a body becomes a blob with a name, wherever blobs lie."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from http import HTTPStatus
from typing import BinaryIO

from backhaul.depot.model import Blob
from backhaul.depot.refusal import Refused
from backhaul.depot.store.interface import Keep

Door = Callable[[str], None]

_AT_ONCE = 1 << 20  # bytes that are handed over, or read, at a time


async def gathered(chunks: AsyncIterator[bytes], append: Callable[[list[bytes]], Awaitable[None]]) -> list[bytes]:
    """Hands a body over, about a MiB at a time; returns what is left, so that a small one is never handed over."""
    waiting: list[bytes] = []
    size = 0
    async for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if size >= _AT_ONCE:
            await append(waiting)
            waiting, size = [], 0
    return waiting


def begun(blob: Blob, keep: Keep) -> Future[str | None]:
    """The naming of a blob, as `Blobs.receive` tells of it; one that fails at its beginning, too."""
    try:
        return keep(blob)
    except Exception as error:  # noqa: BLE001 - whoever waits for the outcome is told
        failed: Future[str | None] = Future()
        failed.set_exception(error)
        return failed


def named(blob: Blob, naming: Future[str | None], destroy: Door, remove: Door) -> str | None:
    """What the naming of a blob led to, when it has ended; what is needed no longer has gone then.

    Raises what it raised. Then the blob goes, if it has surely got no name. Of a database that fails (503) nobody knows
    whether it has kept what it was told: such a blob is left to the sweep.
    """
    try:
        needless = naming.result()
    except Refused as refused:
        if refused.status != HTTPStatus.SERVICE_UNAVAILABLE:
            destroy(blob.name)
        raise
    if needless == blob.name:
        destroy(needless)  # nobody knows of it
    elif needless:
        remove(needless)
    return needless


def named_later(blob: Blob, keep: Keep, destroy: Door, remove: Door) -> Future[Blob]:
    """The same for a caller who does not wait; what goes, goes in the thread that ends the naming."""
    whole: Future[Blob] = Future()

    def end(naming: Future[str | None]) -> None:
        try:
            named(blob, naming, destroy, remove)
        except Exception as error:  # noqa: BLE001 - whoever waits for the outcome is told
            whole.set_exception(error)
        else:
            whole.set_result(blob)

    begun(blob, keep).add_done_callback(end)
    return whole


def pieces(names: list[str], opened: Callable[[str], BinaryIO]) -> Iterator[bytes]:
    """The bytes of several blobs in their order, about a MiB at a time."""
    for name in names:
        with opened(name) as source:
            while piece := source.read(_AT_ONCE):
                yield piece
