"""The watcher's loops under a clock that jumps: how it ends, and what it does with runs that kill their workers."""

from __future__ import annotations

import asyncio
import io
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from backhaul.errors import ConnectionRefused
from backhaul.unattended.queue.entry import Entry, Item, QueueState
from backhaul.unattended.queue.sql_queue import SqlQueue
from backhaul.unattended.queue.sqlite import SqliteDatabase
from backhaul.unattended.watch.log import Log

from ....cluster import Cluster, Mortal, Run, Worker, in_virtual_time


@pytest.fixture
def cluster(folder: Path) -> Cluster:
    return Cluster(random.Random(1), folder / "queue.db")


def _ended(cluster: Cluster, name: str, rows: int = 5000) -> Run:
    run = cluster.new_run(name, 0)
    run.rows, run.writing = rows, False
    return run


def _queue(cluster: Cluster) -> SqlQueue:
    return SqlQueue(SqliteDatabase(cluster.queue_file, cluster.now))


def test_what_is_under_way_may_finish_within_the_time_to_drain(cluster: Cluster) -> None:
    """It is sent and settled; nothing new is begun."""

    async def day() -> tuple[bool, float]:
        _ended(cluster, "a", rows=1)
        watcher, stop = Worker(cluster, 1).watcher(_queue(cluster)), asyncio.Event()
        work = asyncio.create_task(watcher.run(stop, asyncio.Event()))
        await _until(lambda: bool(cluster.sending))
        watcher.options = replace(watcher.options, drain=3600.0)
        stop.set()
        began = cluster.now()
        return await work, cluster.now() - began

    finished, seconds = in_virtual_time(day())
    assert finished
    assert seconds < 3600
    assert [item.state for item in in_virtual_time(_items(cluster))] == [QueueState.VERIFIED]


def test_it_ends_in_time_even_when_the_queue_is_gone(cluster: Cluster) -> None:
    """What it had in hand is due again when the lease is over; waiting for the queue would last for ever."""

    async def day() -> tuple[bool, float]:
        _ended(cluster, "a")
        queue = Mortal(_queue(cluster))
        watcher, stop = Worker(cluster, 1).watcher(queue), asyncio.Event()
        work = asyncio.create_task(watcher.run(stop, asyncio.Event()))
        await _until(lambda: bool(cluster.sending))
        queue.alive = False
        stop.set()
        began = cluster.now()
        return await work, cluster.now() - began

    finished, seconds = in_virtual_time(day())
    assert not finished
    assert seconds < 60


def test_a_run_that_kills_its_workers_is_set_aside_and_the_others_go(cluster: Cluster) -> None:
    """Five of them were not heard of again."""

    async def day() -> None:
        bad, good = _ended(cluster, "bad"), _ended(cluster, "good")
        with _queue(cluster) as queue:
            queue.add([Entry(bad.directory.log, stamp=bad.stamp)])
            for number in range(5):
                queue.take(f"dead{number}", "", limit=1, lease=60)
                queue.leave(f"dead{number}", crashed=True)
            stop = asyncio.Event()
            work = asyncio.create_task(Worker(cluster, 1).watcher(queue).run(stop, asyncio.Event()))
            await _until(lambda: good.verified >= 0)
            stop.set()
            await work

    in_virtual_time(day())
    states = {item.entry.run_id: item for item in in_virtual_time(_items(cluster))}
    assert (states["bad"].state, states["good"].state) == (QueueState.QUARANTINED, QueueState.VERIFIED)
    assert states["bad"].entry.reason is not None
    assert "not heard of again" in states["bad"].entry.reason.message


def test_a_line_that_is_dead_for_hours_is_asked_seldom(cluster: Cluster) -> None:
    """At most every five minutes, by one run, without an attempt."""
    probes: list[float] = []

    async def day() -> None:
        for number in range(20):
            _ended(cluster, f"run{number}")
        cluster.network = ConnectionRefused("away")
        watcher, stop = Worker(cluster, 1).watcher(_queue(cluster)), asyncio.Event()
        road_to = watcher.road_to

        def counted(where: object) -> object:
            road = road_to(where)  # type: ignore[arg-type]
            probe = road.probe

            async def told() -> None:
                probes.append(cluster.now())
                await probe()

            road.probe = told  # type: ignore[method-assign]
            return road

        watcher.road_to = counted  # type: ignore[assignment]
        work = asyncio.create_task(watcher.run(stop, asyncio.Event()))
        await asyncio.sleep(6 * 3600)
        stop.set()
        await work

    in_virtual_time(day())
    assert 60 < len(probes) < 200
    assert {item.attempts for item in in_virtual_time(_items(cluster))} == {0}


def test_who_cannot_reach_the_queue_lets_go_before_others_take(cluster: Cluster) -> None:
    """By his own clock; who takes over finds nobody else sending, and who comes back goes on with other runs."""
    both: list[float] = []

    async def day() -> tuple[list[str], int]:
        run = _ended(cluster, "a", rows=200_000)
        queue = Mortal(_queue(cluster))
        cut, heir = Worker(cluster, 1).watcher(queue), Worker(cluster, 2).watcher(_queue(cluster))
        cut.log = cut.courier.log = Log(True, told := io.StringIO(), cluster.now)
        stop = asyncio.Event()
        works = [asyncio.create_task(cut.run(stop, asyncio.Event()))]
        await _until(lambda: bool(cluster.sending))
        queue.alive = False
        works.append(asyncio.create_task(heir.run(stop, asyncio.Event())))
        while not heir.courier.in_hand:
            if not cluster.sending:
                both.append(cluster.now())
            await asyncio.sleep(0.5)
        assert cut.lease.left <= 0
        queue.alive = True
        await _until(lambda: run.verified >= 0)
        _ended(cluster, "b", rows=1)
        await _until(lambda: all(each.verified >= 0 for each in cluster.runs.values()))
        stop.set()
        await asyncio.gather(*works)
        return [json.loads(line)["event"] for line in told.getvalue().splitlines()], cluster.met

    told, met = in_virtual_time(day())
    assert both, "nobody had it for a while: the one had let go before the other took it"
    assert met == 0
    assert "lapsed" in told
    assert "lost" in told
    assert [(item.state, item.crashes) for item in in_virtual_time(_items(cluster))] == [(QueueState.VERIFIED, 0)] * 2


async def _until(true: Callable[[], bool]) -> None:
    # Time is virtual: asking costs none.
    while not true():  # noqa: ASYNC110 - nobody in that world knows who waits for it
        await asyncio.sleep(0.5)


async def _items(cluster: Cluster) -> list[Item]:
    with _queue(cluster) as queue:
        return list(queue.items())
