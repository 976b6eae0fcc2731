"""A day of a cluster, by seed: jobs start, end, are killed and preempted; network, key and disk fail and come back.

The watcher's own loops and a real queue in a file work in it, under a clock that jumps. What lies on the disk, the
servers and the deaths of workers exist in memory only. At the end every run has to be home whole, or set aside with the
reason that is true of it.
"""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from backhaul.errors import (
    BackhaulError,
    ConnectionLost,
    ConnectionRefused,
    CredentialsRefused,
    DiskFull,
    EmptyLog,
    HostNotFound,
    QueueUnavailable,
    RunBusy,
    RunDeleted,
    ServerUnavailable,
    StillRecording,
    TimedOut,
    VerificationFailed,
)
from backhaul.runs.directory import RunDirectory
from backhaul.sync.event import Event, EventKind, OnEvent
from backhaul.sync.options import SyncOptions
from backhaul.sync.outcome import Outcome, RunState
from backhaul.sync.progress import LogStamp
from backhaul.sync.report import Report
from backhaul.sync.target import Target
from backhaul.unattended.queue.entry import Entry, Item, QueueState, Reason
from backhaul.unattended.queue.sql_queue import SqlQueue
from backhaul.unattended.queue.sqlite import SqliteDatabase
from backhaul.unattended.watch.courier import Courier
from backhaul.unattended.watch.lease import Lease
from backhaul.unattended.watch.line import Line
from backhaul.unattended.watch.log import Log
from backhaul.unattended.watch.metrics import Metrics
from backhaul.unattended.watch.noticer import Noticer
from backhaul.unattended.watch.options import WatchOptions
from backhaul.unattended.watch.scan import Seen
from backhaul.unattended.watch.watcher import Watcher

from .simulation import _Loop

Result = TypeVar("Result")

DAY = 86_400.0
_EPOCH = 1_800_000_000.0
_HOME = Path("/cluster/runs")
_NETWORK = (HostNotFound, ConnectionRefused, TimedOut, ConnectionLost)


@dataclass
class Run:
    """One run directory: the rows in its log, whether its job writes it, what is the matter with it."""

    directory: RunDirectory
    run_id: str
    rows: int = 0
    writing: bool = True
    empty: bool = False
    deleted: bool = False
    at_server: int = 0
    verified: int = -1

    @property
    def stamp(self) -> LogStamp:
        """That of the rows alone: a job that is killed changes nothing on the disk."""
        return LogStamp(self.rows, self.rows)

    @property
    def truth(self) -> str | None:
        """The code of the error that keeps this run from coming home for ever, if any."""
        if self.empty:
            return EmptyLog.code
        return RunDeleted.code if self.deleted else None


@dataclass
class Cluster:
    """Everything outside of the watchers."""

    chance: random.Random
    queue_file: Path
    runs: dict[Path, Run] = field(default_factory=dict)
    network: BackhaulError | None = None
    disk_full: bool = False
    sending: set[Path] = field(default_factory=set)
    # How often two wanted to send one run at a time.
    met: int = 0

    def now(self) -> float:
        return _EPOCH + asyncio.get_running_loop().time()

    # What befalls it.

    async def job(self, number: int) -> None:
        """A job: it may be preempted and go on as another part of the same run, be killed, or die at its beginning."""
        chance = self.chance
        await asyncio.sleep(chance.uniform(0, DAY * 0.8))
        for part in range(chance.choice([1, 1, 1, 2, 3])):
            run = self.new_run(f"job{number}", part)
            if chance.random() < 0.08:
                run.empty = True
                await asyncio.sleep(chance.uniform(0, 60))
                run.writing = False
                return
            run.deleted = part == 0 and chance.random() < 0.05
            for _ in range(chance.randint(1, 20)):
                run.rows += chance.randint(1, 500)
                await asyncio.sleep(chance.uniform(1, 900))
            run.writing = False
            await asyncio.sleep(chance.uniform(60, 3600))

    async def weather(self) -> None:
        """The network goes, the key is refused, the disk is full, the queue's file is lost: for a while each."""
        chance = self.chance
        while asyncio.get_running_loop().time() < DAY:
            await asyncio.sleep(chance.uniform(300, 7200))
            kind = chance.random()
            if kind < 0.15:
                self._harm_the_queue()
                continue
            if kind < 0.35:
                self.disk_full = True
            else:
                self.network = chance.choice([*_NETWORK, CredentialsRefused])("simulated")
            await asyncio.sleep(chance.uniform(10, 7200))
            self.network, self.disk_full = None, False

    def _harm_the_queue(self) -> None:
        if self.chance.random() < 0.5:
            self.queue_file.unlink(missing_ok=True)
        else:
            self.queue_file.write_bytes(b"\xff" * 9000)

    def new_run(self, run_id: str, part: int) -> Run:
        folder = _HOME / f"offline-run-{part}-{run_id}"
        run = Run(RunDirectory(folder, folder / f"run-{run_id}.wandb"), run_id)
        self.runs[run.directory.log] = run
        return run

    # What the watchers see of it.

    def scan(self, folders: Sequence[Path]) -> tuple[Mapping[Path, Seen], list[BackhaulError]]:
        return {log: Seen(run.directory, run.stamp) for log, run in self.runs.items()}, []

    def judged(self, directories: Iterable[RunDirectory]) -> Iterator[Entry]:
        for directory in directories:
            run = self.runs[directory.log]
            state, reason = QueueState.PENDING, None
            if run.writing:
                state = QueueState.RECORDING
            elif run.empty:
                state, reason = QueueState.QUARANTINED, Reason.of(EmptyLog("nothing in it"))
            elif run.verified == run.rows:
                state = QueueState.VERIFIED
            yield Entry(directory.log, state=state, stamp=run.stamp, reason=reason, run_id=run.run_id)


@dataclass
class SimulatedRoad:
    """The way to the one server."""

    cluster: Cluster
    name: str = "simulated"
    line: Line = field(default_factory=Line)

    async def probe(self) -> None:
        await asyncio.sleep(0.1)
        if self.cluster.network is not None:
            raise self.cluster.network

    async def close(self) -> None:
        """Nothing is kept."""

    async def carry(
        self, directories: Sequence[RunDirectory], options: SyncOptions, on_event: OnEvent, why_stopped: Any
    ) -> Report:
        outcomes = {directory.log: Outcome(directory.path, "") for directory in directories}
        finished: set[Path] = set()

        async def one(directory: RunDirectory) -> None:
            outcome = outcomes[directory.log]
            error = await self._sent(self.cluster.runs[directory.log])
            outcome.state = RunState.VERIFIED
            if error is not None:
                outcome.fail(error)
            finished.add(directory.log)
            on_event(Event(EventKind.FINISHED, 0.0, directory.path, "", outcome=outcome))

        try:
            await asyncio.gather(*(one(directory) for directory in directories))
        except asyncio.CancelledError:
            for log in outcomes.keys() - finished:
                outcomes[log].fail(why_stopped())
        return Report(tuple(outcomes.values()))

    async def _sent(self, run: Run) -> BackhaulError | None:
        """Send as the engine does: rows that the server has stay there, the ledger's lock lets one of two send."""
        cluster, log = self.cluster, run.directory.log
        if log in cluster.sending:
            cluster.met += 1
            return RunBusy("another has it")
        cluster.sending.add(log)
        try:
            rows = run.rows
            while run.at_server < rows:
                await asyncio.sleep(cluster.chance.uniform(1, 400))
                failure = self._failure(run)
                if failure is not None:
                    return failure
                run.at_server = min(rows, run.at_server + cluster.chance.randint(100, 2000))
            await asyncio.sleep(1)
            failure = self._failure(run)
            if failure is None and run.writing:
                failure = StillRecording("its job goes on")
            if failure is None:
                run.verified = rows
            return failure
        finally:
            cluster.sending.discard(log)

    def _failure(self, run: Run) -> BackhaulError | None:
        cluster = self.cluster
        if cluster.network is not None:
            return cluster.network
        if run.truth == RunDeleted.code:
            return RunDeleted("it was deleted there")
        if cluster.disk_full:
            return DiskFull("the ledger cannot be written")
        kind = cluster.chance.random()
        if kind < 0.02:
            return ServerUnavailable("503")
        return VerificationFailed("it was shown late") if kind < 0.025 else None


class Mortal:
    """A worker's way to the queue: after its death nothing of it goes there."""

    def __init__(self, queue: SqlQueue) -> None:
        self._queue = queue
        self.alive = True

    def __getattr__(self, name: str) -> Any:
        if not self.alive:
            raise QueueUnavailable("the worker is dead")
        return getattr(self._queue, name)


@dataclass
class Worker:
    """A watcher that is killed and started again, as long as the day lasts."""

    cluster: Cluster
    number: int
    starts: int = 0

    async def live(self, stop: asyncio.Event) -> None:
        """Watch; die now and then, by SIGKILL or in good order; begin again."""
        chance = self.cluster.chance
        while not stop.is_set():
            self.starts += 1
            queue = Mortal(SqlQueue(SqliteDatabase(self.cluster.queue_file, self.cluster.now)))
            watcher = self.watcher(queue)
            asked = asyncio.Event()
            work = asyncio.create_task(watcher.run(asked, asyncio.Event()))
            over = asyncio.create_task(stop.wait())
            await asyncio.wait([work, over], timeout=chance.uniform(600, 3 * 3600), return_when=asyncio.FIRST_COMPLETED)
            over.cancel()
            if work.done() and not stop.is_set():
                work.result()
            if stop.is_set() or chance.random() < 0.3:
                asked.set()
                await work
            else:
                queue.alive = False
                watcher.courier.hurried = True
                batches = list(watcher._batches)
                for task in (work, *batches):
                    task.cancel()
                await asyncio.gather(work, *batches, return_exceptions=True)
                await asyncio.sleep(chance.uniform(1, 600))

    def watcher(self, queue: Any) -> Watcher:
        """A watcher of this cluster, over `queue`."""
        cluster = self.cluster
        log, options = Log(True, io.StringIO(), cluster.now), _options()
        noticer = Noticer(queue, [_HOME], lambda _: cluster, "", scan=cluster.scan, life_every=60)  # type: ignore[arg-type,return-value]
        return Watcher(
            queue,
            noticer.notice,
            lambda _: SimulatedRoad(cluster),
            Courier(queue, options.sync, log, Metrics(), cluster.now, cluster.chance.random),
            Lease(options.lease, cluster.now),
            options,
            log,
            _nothing,
            host="",
            owner=f"worker{self.number}-{self.starts}",
            clock=cluster.now,
        )


def _nothing(items: Sequence[Item], words: str) -> None:
    """Nobody listens."""


def _options() -> WatchOptions:
    sync = SyncOptions(state_folder=Path("/cluster/state"))
    return WatchOptions((_HOME,), Target(), sync, poll=600, lease=1200, drain=30, tick=300, at_once=8)


def live_a_day(seed: int, jobs: int, folder: Path, workers: int = 2) -> tuple[Cluster, Sequence[Item]]:
    """The cluster after a day and the time that the rest took, and the rows of its queue."""
    cluster = Cluster(random.Random(seed), folder / "queue.db")
    return cluster, in_virtual_time(_day(cluster, jobs, workers))


def in_virtual_time(work: Coroutine[Any, Any, Result]) -> Result:
    """What comes of `work` under a clock that jumps."""
    loop = _Loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


async def _day(cluster: Cluster, jobs: int, workers: int) -> Sequence[Item]:
    stop = asyncio.Event()
    lives = [asyncio.create_task(Worker(cluster, number).live(stop)) for number in range(workers)]
    world = [asyncio.create_task(cluster.job(number)) for number in range(jobs)]
    world.append(asyncio.create_task(cluster.weather()))
    await asyncio.gather(*world)
    await _settled(cluster, lives)
    stop.set()
    await asyncio.gather(*lives)
    with SqlQueue(SqliteDatabase(cluster.queue_file, cluster.now)) as queue:
        return queue.items()


async def _settled(cluster: Cluster, lives: Sequence[asyncio.Task[None]]) -> None:
    """Return when nothing more is to be done, or after a day in which nothing was settled: the checks then fail."""
    for _ in range(24 * 4):
        await asyncio.sleep(900)
        for life in lives:
            if life.done():
                life.result()
        with SqlQueue(SqliteDatabase(cluster.queue_file, cluster.now)) as queue:
            known = {item.entry.log: item.state for item in queue.items()}
        done = {QueueState.VERIFIED, QueueState.QUARANTINED}
        if known.keys() == cluster.runs.keys() and set(known.values()) <= done:
            return
