"""Carries runs that are in hand over their roads, and tells the queue what came of each as soon as it is known."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from backhaul.errors import BackhaulError, RunBusy, Terminated
from backhaul.sync.event import Event, EventKind
from backhaul.sync.ledger import read_ledger
from backhaul.sync.mishap import is_for_all, told
from backhaul.sync.options import SyncOptions
from backhaul.sync.outcome import Outcome
from backhaul.sync.progress import LogStamp
from backhaul.unattended.queue.decision import Decision, Try, after, after_error, stamped
from backhaul.unattended.queue.entry import Item, QueueState, Reason
from backhaul.unattended.queue.interface import Queue
from backhaul.unattended.watch.log import Log
from backhaul.unattended.watch.metrics import Metrics
from backhaul.unattended.watch.road import Road

_ASKED_TO_STOP = "The watcher was asked to stop."
_SETTLED_AGAIN_AFTER = 5.0


def _nobody() -> None:
    """Nobody waits for anything."""


@dataclass(slots=True)
class Courier:
    """Has runs in hand. `followed` are those among them that wait for their job to write more.

    `wake` is called when there is room for more. Who is `hurried` waits for no queue: what it has in hand is due again
    when the lease is over.
    """

    queue: Queue
    options: SyncOptions
    log: Log
    metrics: Metrics
    clock: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random
    wake: Callable[[], object] = _nobody
    in_hand: dict[Path, Item] = field(default_factory=dict)
    followed: set[Path] = field(default_factory=set)
    hurried: bool = False
    _settling: set[Path] = field(default_factory=set)
    _lapsed: dict[Path, BackhaulError] = field(default_factory=dict)

    def is_idle(self, items: Sequence[Item]) -> bool:
        """Whether all of these are done, or followed only."""
        return all(item.entry.log not in self.in_hand or item.entry.log.parent in self.followed for item in items)

    @property
    def active(self) -> int:
        """How many are on their way."""
        return sum(log.parent not in self.followed for log in self.in_hand)

    @property
    def carried(self) -> frozenset[Path]:
        """The logs in hand of which it is not being told yet what came of them."""
        return frozenset(self.in_hand.keys() - self._settling)

    def lapse(self, items: Iterable[Item], error: BackhaulError) -> None:
        """These are no longer ours, for `error`: nothing of them counts that comes from now on."""
        self._lapsed.update({item.entry.log: error for item in items})

    def receive(self, items: Sequence[Item]) -> None:
        """Have these runs in hand from now on."""
        self.in_hand.update({item.entry.log: item for item in items})

    async def carry(self, road: Road, items: Sequence[Item]) -> None:
        """Bring runs in hand over `road`; all are settled when this returns. Cancelled, they are due again."""
        try:
            await self._tried(road, items)
        except asyncio.CancelledError:
            # Whatever it was at, also at telling what went wrong: what stayed in hand would keep all others waiting.
            await self._all(items, self._why_stopped(items))
        finally:
            self.followed -= {item.entry.log.parent for item in items}
            for item in items:
                self._lapsed.pop(item.entry.log, None)

    async def _tried(self, road: Road, items: Sequence[Item]) -> None:
        try:
            if road.line.must_be_probed(self.clock()):
                await road.probe()
                self._opened(road)
            await self._carried(road, items)
        except RunBusy as error:
            # The lease is over, by which the server is neither reached nor not.
            await self._all(items, error)
        except BackhaulError as error:
            await self._closed(road, error)
            await self._all(items, error, road)
        except Exception as error:  # noqa: BLE001 - the last door of these runs: the others go on.
            await self._all(items, told(error))

    async def _carried(self, road: Road, items: Sequence[Item]) -> None:
        errand = _Errand(self, road, items)
        directories = [item.entry.directory for item in items]
        why_stopped = partial(self._why_stopped, items)
        report = await road.carry(directories, self.options, errand.on_event, why_stopped)
        for item, outcome in zip(items, report.runs, strict=True):
            errand.settle(item, outcome)
        await errand.settled()
        for_all = [run.error for run in report.runs if run.error is not None and is_for_all(run.error)]
        if for_all:
            await self._closed(road, for_all[0])
        elif not any(item.entry.log in self._lapsed for item in items):
            road.line.reached(self.clock())

    async def settle(self, item: Item, decision: Decision) -> None:
        """Tell the queue, again and again while it cannot be reached."""
        self._settling.add(item.entry.log)
        while True:
            try:
                kept = await asyncio.to_thread(self.queue.settle, item, decision)
                break
            except BackhaulError as error:
                self.log.tell("queue", error)
                kept = True
                if self.hurried:
                    break
                await asyncio.sleep(_SETTLED_AGAIN_AFTER)
        if not kept:
            self.log.tell("lost", path=item.entry.log.parent, owner=item.owner)
        self.in_hand.pop(item.entry.log, None)
        self._settling.discard(item.entry.log)
        self.wake()

    def _why_stopped(self, items: Sequence[Item]) -> BackhaulError:
        """Why these were cut off: they are no longer ours, or the watcher was asked to stop."""
        lapsed = [error for item in items if (error := self._lapsed.get(item.entry.log)) is not None]
        return lapsed[0] if lapsed else Terminated(_ASKED_TO_STOP)

    def told(self, item: Item, decision: Decision, outcome: Outcome | None) -> None:
        """Say what came of a run."""
        self.metrics.tries.labels(str(decision.state)).inc()
        reason = decision.reason
        self.log.tell(
            str(decision.state),
            path=item.entry.log.parent,
            run=outcome and outcome.run_id,
            attempts=decision.attempts or None,
            next_in=round(decision.due_at - self.clock(), 1) if decision.due_at > self.clock() else None,
            code=reason and reason.code,
            reason=reason and reason.message,
            lines=outcome and outcome.sent_lines,
            bytes=outcome and outcome.sent_bytes,
            url=outcome and outcome.url,
        )

    def circumstances(self, item: Item) -> Try:
        """Those of a try that ends now."""
        last = item.entry.reason.code if item.entry.reason else ""
        return Try(item.attempts, self.clock(), self.chance(), last=last)

    async def _all(self, items: Sequence[Item], error: BackhaulError, road: Road | None = None) -> None:
        """Settle those that are not settled yet; with a closed `road` none of them has spent an attempt."""
        for item in items:
            if item.entry.log not in self.in_hand:
                continue
            decision = after_error(error, self.circumstances(item))
            if road is not None and road.line.error is error:
                decision = Decision(QueueState.BLOCKED, road.line.until, item.attempts, Reason.of(error))
            self.told(item, decision, None)
            await self.settle(item, decision)

    def _opened(self, road: Road) -> None:
        if road.line.reached(self.clock()):
            self.log.tell("line", to=road.name, words="the server can be reached again")
        self.metrics.line.labels(road.name).set(1)
        self.wake()

    async def _closed(self, road: Road, error: BackhaulError) -> None:
        if road.line.failed(error, self.clock(), self.chance()):
            self.log.tell("line", error, to=road.name, next_in=round(road.line.until - self.clock(), 1))
        self.metrics.line.labels(road.name).set(0)
        await road.close()


@dataclass(slots=True)
class _Errand:
    """One call of the engine: what it tells of its runs becomes what the queue is told."""

    courier: Courier
    road: Road
    items: Sequence[Item]
    _settling: list[asyncio.Task[None]] = field(default_factory=list)
    _told: set[Path] = field(default_factory=set)

    def on_event(self, event: Event) -> None:
        """What the engine tells."""
        courier = self.courier
        if event.kind is EventKind.FOLLOWING:
            courier.followed.add(event.path)
            return
        courier.followed.discard(event.path)
        if event.kind is EventKind.LINES:
            courier.metrics.lines.inc(event.lines)
        if event.kind in (EventKind.LINES, EventKind.FILE):
            courier.metrics.bytes.inc(event.size)
        if event.kind is EventKind.WAITING:
            courier.log.tell("waiting", event.error, path=event.path)
        if event.kind is EventKind.FINISHED and event.outcome is not None:
            mine = [item for item in self.items if item.entry.log.parent == event.path]
            # Of two logs in one folder it is not told which is meant: they wait for the end.
            if len(mine) == 1:
                self.settle(mine[0], event.outcome)

    def settle(self, item: Item, outcome: Outcome) -> None:
        """Tell the queue what came of a run, once."""
        if item.entry.log in self._told:
            return
        self._told.add(item.entry.log)
        decision = after(outcome, self.courier.circumstances(item))
        self.courier.told(item, decision, outcome)
        self._settling.append(asyncio.create_task(self._settle(item, decision)))

    async def settled(self) -> None:
        """Return when the queue knows everything."""
        await asyncio.gather(*self._settling)

    async def _settle(self, item: Item, decision: Decision) -> None:
        if decision.state is QueueState.VERIFIED:
            stamp = await asyncio.to_thread(_verified_stamp, item, self.courier.options.state_folder)
            decision = stamped(decision, stamp)
        await self.courier.settle(item, decision)


def _verified_stamp(item: Item, state_folder: Path) -> LogStamp:
    """Which log was read back: what the ledger says, for the log may have grown since."""
    stamps = [known.verified for known in read_ledger(item.entry.log, state_folder).values() if known.verified]
    try:
        now = LogStamp.of(item.entry.log)
    except OSError:
        return item.entry.stamp
    return now if now in stamps else item.entry.stamp
