"""The server's last row, held against ours of that number before anything is sent over it.

A ledger tells what was acknowledged, and not what somebody else wrote there since. Where a request was answered and the
answer lost, the server's last row is one of ours that no ledger knows; where another job took the run's id, it is not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from backhaul.errors import RemoteConflict
from backhaul.runs.stream import Stream
from backhaul.sync.batch import Batch
from backhaul.sync.progress import Progress
from backhaul.sync.row import time_of
from backhaul.sync.verify import is_same_time
from backhaul.wire.remote import RunStatus


@dataclass(frozen=True, slots=True)
class ServerTail:
    """The time of the server's last row, and the number that it has in the fragment."""

    number: int
    time: float

    def contradicts(self, batch: Batch) -> bool:
        """Whether the batch has a row of that number, recorded at another time, or is the last and has none."""
        if batch.is_last and self.number >= batch.next[Stream.HISTORY]:
            return True
        line = batch.line(Stream.HISTORY, self.number)
        ours = time_of(line.lines[Stream.HISTORY][0]) if line is not None else None
        return ours is not None and not is_same_time(ours, self.time)

    def is_among(self, rows: Iterator[str]) -> bool:
        """Whether it is one of these rows."""
        times = map(time_of, rows)
        return any(time is not None and is_same_time(time, self.time) for time in times)


def server_tail(status: RunStatus | None, progress: Progress) -> ServerTail | None:
    """The tail to be compared; None where the server tells none that could be ours."""
    if status is None or not status.history_tail:
        return None
    number, time = status.history_lines - 1 - progress.base[Stream.HISTORY], time_of(status.history_tail[-1])
    return ServerTail(number, time) if number >= 0 and time is not None else None


@dataclass(frozen=True, slots=True)
class TailCheck:
    """Compares `tail`, if there is one, with what is about to be sent; `own_rows` reads the fragment's rows anew."""

    tail: ServerTail | None
    own_rows: Callable[[], Iterator[str]]

    async def of(self, batch: Batch) -> None:
        """Raise RemoteConflict when another row is where one of these is to go.

        Another one of ours is none: some servers show a row for a while that was the last one a moment ago.
        """
        tail = self.tail
        if tail is None or not tail.contradicts(batch):
            return
        if not await asyncio.to_thread(lambda: tail.is_among(self.own_rows())):
            raise RemoteConflict(
                f"The destination holds another row than this log's as row {tail.number} of it: somebody else wrote "
                "there."
            )
