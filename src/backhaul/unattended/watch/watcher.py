"""The watcher's loops: look, take what is due, carry it, show that it lives; and how it comes to an end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from backhaul.errors import BackhaulError
from backhaul.unattended.queue.decision import before
from backhaul.unattended.queue.entry import Item
from backhaul.unattended.queue.interface import Queue
from backhaul.unattended.queue.where import Where
from backhaul.unattended.watch.bell import Bell
from backhaul.unattended.watch.courier import Courier
from backhaul.unattended.watch.lease import Lease
from backhaul.unattended.watch.log import Log
from backhaul.unattended.watch.noticer import Noticed
from backhaul.unattended.watch.options import WatchOptions
from backhaul.unattended.watch.road import Road
from backhaul.unattended.watch.worker_name import is_gone, name_of_this_process

# Looking takes at most a fiftieth of the time, however many runs there are and however often they change.
_REST_PER_LOOK = 49
_LOOK_AT_LEAST, _LOOK_AT_MOST = 1.0, 60.0
_AGAIN_AFTER = 5.0
_GUARDED_EVERY = 0.5


class Chore(Protocol):
    """Something else that has to be done now and then, such as looking after the disk."""

    every: float

    async def __call__(self) -> None:
        """Do it once. A BackhaulError is logged."""


@dataclass(slots=True)
class Watcher:
    """Works on `queue` until it is asked to stop. `look` is one look at the folders, `road_to` the way to a place."""

    queue: Queue
    look: Callable[[], Noticed]
    road_to: Callable[[Where], Road]
    courier: Courier
    lease: Lease
    options: WatchOptions
    log: Log
    on_beat: Callable[[Sequence[Item], str], object]
    chores: Sequence[Chore] = ()
    # The folders of whose changes the kernel tells; whether there are others.
    listened_to: Sequence[Path] = ()
    looks_often: bool = True
    host: str = field(default_factory=socket.gethostname)
    owner: str = ""
    bell: Bell = field(default_factory=Bell)
    clock: Callable[[], float] = time.time
    _due: asyncio.Event = field(default_factory=asyncio.Event)
    _roads: dict[Where, Road] = field(default_factory=dict)
    _batches: dict[asyncio.Task[None], Sequence[Item]] = field(default_factory=dict)
    _cancelled: set[asyncio.Task[None]] = field(default_factory=set)
    # What is taken is in the courier's hand before the queue hears what he holds.
    _at_the_queue: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self, stop: asyncio.Event, hurry: asyncio.Event) -> bool:
        """Work until `stop`, then finish what is under way within `drain` seconds, or until `hurry`.

        True when nothing was cut off. Raises what the queue raises at the start.
        """
        self.owner = self.owner or name_of_this_process(self.host)
        self.courier.wake = self._due.set
        await self._beat_once()
        beating = asyncio.create_task(self._repeat(self._beat_once, self.options.beat))
        guarding = asyncio.create_task(self._guard())
        try:
            await self._until(stop)
            finished = await self._drain(hurry)
        finally:
            await _ended(beating, guarding)
            for road in self._roads.values():
                await road.close()
        with contextlib.suppress(BackhaulError):
            await asyncio.to_thread(self.queue.leave, self.owner)
        return finished

    async def _until(self, stop: asyncio.Event) -> None:
        loops: list[Coroutine[Any, Any, None]] = [self._look_again_and_again(), self._take_again_and_again()]
        if self.listened_to:
            loops.append(self.bell.listen(self.listened_to))
        loops += [self._repeat(chore, chore.every) for chore in self.chores]
        tasks = [asyncio.create_task(loop) for loop in loops]
        stopped = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopped}:
                # A loop ends by a bug only: whoever started us sees it, and starts us again.
                task.result()
        finally:
            await _ended(stopped, *tasks)

    # Looking.

    async def _look_again_and_again(self) -> None:
        while True:
            at_least, at_most = _AGAIN_AFTER, self.options.poll
            try:
                noticed = await asyncio.to_thread(self.look)
            except BackhaulError as error:
                self.log.tell("queue", error)
            else:
                self._tell_noticed(noticed)
                at_least = max(_LOOK_AT_LEAST, noticed.seconds * _REST_PER_LOOK)
                # A job that is killed changes no file, so that nobody tells of it.
                at_most = at_most if self.looks_often or noticed.recording else max(at_most, _LOOK_AT_MOST)
            await self.bell.wait(at_least, max(at_least, at_most))

    def _tell_noticed(self, noticed: Noticed) -> None:
        self.courier.metrics.look.set(noticed.seconds)
        for error in noticed.errors:
            self.log.tell("unreadable", error)
        for entry in noticed.entries:
            self.log.tell("noticed", path=entry.log.parent, state=entry.state, code=entry.reason and entry.reason.code)
        if noticed.asked:
            self.log.tell("asked", commands=noticed.asked)
        if noticed.entries or noticed.asked:
            self._due.set()

    # Working.

    async def _take_again_and_again(self) -> None:
        while True:
            self._due.clear()
            try:
                taken = await self._take()
            except BackhaulError as error:
                self.log.tell("queue", error)
                await asyncio.sleep(_AGAIN_AFTER)
                continue
            if not taken:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._until_worth_it()):
                        await self._due.wait()

    async def _take(self) -> bool:
        limit = self._room()
        if limit == 0:
            return False
        async with self._at_the_queue:
            lease = self.options.lease
            items = await asyncio.to_thread(self.queue.take, self.owner, self.host, limit=limit, lease=lease)
            self.courier.receive(items)
        groups: dict[tuple[Where, str], list[Item]] = {}
        for item in items:
            refused = before(item.crashes)
            if refused is not None:
                self.courier.told(item, refused, None)
                await self.courier.settle(item, refused)
                continue
            # What somebody did not survive goes alone.
            alone = item.entry.run_id if item.crashes else ""
            groups.setdefault((item.entry.where, alone), []).append(item)
        for (where, _), group in groups.items():
            self._begin(where, group)
        return bool(items)

    def _room(self) -> int:
        """How many runs may be taken now. Of a line of which nothing is known, one run finds out."""
        if self.lease.left <= 0:
            return 0
        now, active, options = self.clock(), self.courier.active, self.options
        lines = [road.line for road in self._roads.values()]
        if lines and not any(line.may_be_tried(now) for line in lines):
            return 0
        if all(line.must_be_probed(now) for line in lines):
            return 0 if active else 1
        # Runs that go together share questions: a few places are not filled one by one.
        free = min(options.at_once - active, options.followed - len(self.courier.in_hand))
        return free if free >= options.at_once // 2 else 0

    def _until_worth_it(self) -> float:
        """Seconds until there may be something to take, if nobody says so earlier."""
        waits = (road.line.until - self.clock() for road in self._roads.values() if road.line.error is not None)
        return min([self.options.tick, *(seconds for seconds in waits if seconds > 0)])

    def _begin(self, where: Where, items: Sequence[Item]) -> None:
        if where not in self._roads:
            self._roads[where] = self.road_to(where)
        task = asyncio.create_task(self.courier.carry(self._roads[where], items))
        self._batches[task] = items
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        del self._batches[task]
        self._cancelled.discard(task)
        self._due.set()

    async def _drain(self, hurry: asyncio.Event) -> bool:
        """Let what is under way come to its end; what is followed has none. True when nothing was cut off."""
        end = self.clock() + self.options.drain
        if self._batches:
            self.log.tell("draining", runs=self.courier.active, within=self.options.drain)
        cut_off = False
        while self._batches:
            late = self.courier.hurried = hurry.is_set() or self.clock() >= end
            for task, items in self._batches.items():
                idle = self.courier.is_idle(items)
                if (late or idle) and task not in self._cancelled:
                    cut_off |= not idle
                    # Once: what it still has to do then must not be cut off as well.
                    self._cancelled.add(task)
                    task.cancel()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await asyncio.wait(list(self._batches))
        self.log.tell("stopped", cut_off=cut_off)
        return not cut_off

    # Showing that it lives.

    async def _beat_once(self) -> None:
        words = self._words()
        async with self._at_the_queue:
            asked_at, carried = self.lease.clock(), self.courier.carried
            held = [item.key for item in self.courier.in_hand.values()]
            kept = await asyncio.to_thread(self.queue.extend, self.owner, held, lease=self.options.lease, words=words)
            self.lease.renewed(asked_at)
        self._let_go(carried - {key.log for key in kept})
        await asyncio.to_thread(self._release_the_dead)
        self.on_beat(await asyncio.to_thread(self.queue.items), words)

    async def _guard(self) -> None:
        """Let go of everything in time, when the queue cannot be reached."""
        while True:
            left = self.lease.left
            if left <= 0:
                self._let_go(self.courier.carried)
            await asyncio.sleep(max(left, _GUARDED_EVERY))

    def _let_go(self, logs: Set[Path]) -> None:
        """Cut off what carries these, which are no longer ours; what goes with them is due again."""
        logs = logs & self.courier.carried
        for task, items in self._batches.items():
            lost = [item for item in items if item.entry.log in logs]
            if lost and task not in self._cancelled:
                self.log.tell("lapsed", paths=[str(item.entry.log.parent) for item in lost])
                self.courier.lapse(items, self.lease.over())
                self._cancelled.add(task)
                task.cancel()

    def _release_the_dead(self) -> None:
        """What processes of this host had in hand that are gone need not wait for the end of its lease."""
        for worker in self.queue.workers():
            if is_gone(worker.owner, self.host):
                self.queue.leave(worker.owner, crashed=True)
                self.log.tell("released", owner=worker.owner)

    def _words(self) -> str:
        now = self.clock()
        closed = [road.line for road in self._roads.values() if road.line.error is not None]
        hands = f"{self.courier.active} on their way, {len(self.courier.followed)} followed"
        if not closed:
            return hands
        line = closed[0]
        error = line.error
        code, message = (error.code, error.message) if error is not None else ("", "")
        return f"{hands}; the line is closed for {now - line.since:.0f} s ({code}: {message})"

    async def _repeat(self, do: Callable[[], Awaitable[None]], every: float) -> None:
        while True:
            await asyncio.sleep(every)
            try:
                await do()
            except BackhaulError as error:
                self.log.tell("queue" if do == self._beat_once else "chore", error)


async def _ended(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
