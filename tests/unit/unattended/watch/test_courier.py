"""What a courier has in hand is settled, whatever happens on the way."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from backhaul.errors import BackhaulError, ConnectionRefused, RunBusy
from backhaul.sync.options import SyncOptions
from backhaul.unattended.queue.decision import Decision
from backhaul.unattended.queue.entry import Entry, Item, QueueState
from backhaul.unattended.watch.courier import Courier
from backhaul.unattended.watch.line import Line
from backhaul.unattended.watch.log import Log
from backhaul.unattended.watch.metrics import Metrics

_ITEM = Item(Entry(Path("/runs/offline-run-1-a/run-a.wandb")), 0, 0, 0, False, 0.0, "one", 100.0)


@dataclass
class _Queue:
    settled: list[QueueState] = field(default_factory=list)

    def settle(self, _item: Item, decision: Decision) -> bool:
        self.settled.append(decision.state)
        return True


@dataclass
class _Road:
    """A road on which every probe fails for `why`, and that closes only when it is let."""

    why: BackhaulError
    name: str = "server"
    line: Line = field(default_factory=Line)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def probe(self) -> None:
        raise self.why

    async def close(self) -> None:
        self.closing.set()
        await asyncio.Event().wait()


@pytest.fixture
def queue() -> _Queue:
    return _Queue()


@pytest.fixture
def courier(queue: _Queue, tmp_path: Path) -> Courier:
    made = Courier(cast(Any, queue), SyncOptions(tmp_path), Log(True, io.StringIO()), Metrics())
    made.receive([_ITEM])
    return made


def test_who_is_cut_off_while_the_road_is_being_closed_keeps_nothing_in_hand(courier: Courier, queue: _Queue) -> None:
    """The lease ends in that very moment: what stayed in hand would be waited for by all others, for ever."""

    async def work() -> None:
        road = _Road(ConnectionRefused("x"))
        task = asyncio.create_task(courier.carry(cast(Any, road), [_ITEM]))
        await road.closing.wait()
        courier.lapse([_ITEM], RunBusy("x"))
        task.cancel()
        await task

    asyncio.run(work())
    assert (courier.in_hand, courier.active, len(queue.settled)) == ({}, 0, 1)


def test_a_lease_that_ends_before_the_first_question_closes_no_line(courier: Courier, queue: _Queue) -> None:
    """It says nothing about the server."""
    road = _Road(RunBusy("x"))
    asyncio.run(courier.carry(cast(Any, road), [_ITEM]))
    assert (road.line.error, courier.in_hand, queue.settled) == (None, {}, [QueueState.BLOCKED])
