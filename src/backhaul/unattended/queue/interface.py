"""What every queue can do, wherever it is kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from types import TracebackType
from typing import Protocol, Self

from backhaul.unattended.queue.decision import Decision
from backhaul.unattended.queue.entry import Entry, Item, Key, QueueState, Worker


class Queue(Protocol):
    """The runs that are to be brought home. Safe to use from several threads, processes and, if it says so, hosts.

    Every change is durable when the method returns. All raise QueueUnavailable when the queue cannot be reached, and
    DiskFull when there is no space for it.
    """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def close(self) -> None:
        """Let go of the connection."""

    def add(self, entries: Iterable[Entry]) -> None:
        """Tell how runs are found on the disk; the same again changes nothing.

        A row whose log is as it was keeps what came of it, unless it was being recorded. One that is in hand is taken
        up again afterwards if its log has changed. What was dropped stays so.
        """

    def replace(self, entries: Iterable[Entry]) -> None:
        """Take what is found on the disk for the truth, whatever the rows say; only who has one in hand keeps it."""

    def ask(self, keys: Iterable[Key]) -> int:
        """Have runs tried now, whatever came of them before; also after a try that is under way. Returns how many."""

    def take(self, owner: str, host: str, *, limit: int, lease: float) -> Sequence[Item]:
        """Up to `limit` runs that are due, in hand for `lease` seconds from now, the longest due first.

        None that only another host can read, is paused, or has a part in another's hand. Nothing while all is paused.
        A run whose lease is over is taken from its owner, unless that is `owner` himself.
        """

    def extend(self, owner: str, held: Iterable[Key], *, lease: float, words: str) -> Set[Key]:
        """Keep what `owner` has in hand for `lease` seconds from now, and show that he lives; what he still has.

        `held` is what he knows of. What he was given without hearing of it, since the line broke, is let go of; what is
        missing in the answer is in somebody else's hand by now.
        """

    def settle(self, item: Item, decision: Decision) -> bool:
        """Keep what came of a run and let go of it. False when it was in somebody else's hand by then.

        Its owner was cut off then and has not died of it: that is no longer counted as a crash.
        """

    def leave(self, owner: str, *, crashed: bool = False) -> None:
        """Let go of all that `owner` has in hand, and forget him; `crashed` says that he did not stop by himself."""

    def items(self, states: Iterable[QueueState] | None = None) -> Sequence[Item]:
        """The rows in these states (None: all), the oldest first."""

    def workers(self) -> Sequence[Worker]:
        """Those who work on the queue, or were not heard of again."""

    def drop(self, keys: Iterable[Key]) -> int:
        """Leave runs alone for good, until they are asked for. Not those in hand. Returns how many."""

    def forget(self, keys: Iterable[Key]) -> int:
        """Take rows out of the queue altogether. Not those in hand. Returns how many."""

    def pause(self, keys: Iterable[Key] | None = None, *, on: bool = True) -> int:
        """Have runs left alone for a while (None: the whole queue), or with `on` False no longer. Returns how many."""

    @property
    def paused(self) -> bool:
        """Whether the whole queue is paused."""
