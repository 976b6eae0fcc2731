"""A world in which a seed decides everything: clock, network, disk, the moments of death.

The engine's own code runs in it (delivery, numbering, retries, ledger, read-back) against a server, a disk and a clock
that exist in memory only. Every request may fail before or after the server did what was asked, or be the last thing
that the process did; every write of the ledger may fail, stay half done, or be lost with the power, and so may that of
a checkpoint. The server shows its counts late, and may come back from a backup, each stream as of a moment of its own;
a ledger may get lost as a whole. Whatever happens, the sync is started again, as a user would.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import hashlib
import json
import random
import selectors
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast
from unittest import mock

from backhaul.errors import ConnectionLost, RateLimited, ServerUnavailable, TimedOut
from backhaul.runs.directory import RunDirectory
from backhaul.runs.inspect import Inspection, inspect
from backhaul.runs.rows import NUMBERED, Stream
from backhaul.sync.checkpoint import Checkpoint
from backhaul.sync.checkpoints import Checkpoints
from backhaul.sync.delivery import Delivery
from backhaul.sync.destination import Destination
from backhaul.sync.digests import Digests
from backhaul.sync.ledger_lock import LedgerLock
from backhaul.sync.mishap import told
from backhaul.sync.options import SyncOptions
from backhaul.sync.outcome import Outcome, RunState
from backhaul.sync.passage import Passage
from backhaul.sync.progress import Progress
from backhaul.sync.reporter import Reporter
from backhaul.sync.retry import Retrier
from backhaul.sync.size_limit import SizeLimit
from backhaul.wandblog import LogWriter
from backhaul.wandblog.schema import HistoryRecord, Record, SummaryRecord
from backhaul.wire.message import FileSlice
from backhaul.wire.remote import (
    ConsoleLine,
    ConsoleTail,
    RemoteFile,
    RunAddress,
    RunStatus,
    RunUpsert,
    UploadTarget,
    Viewer,
)
from backhaul.wire.server import Server

Result = TypeVar("Result")

_TO = Destination("http://simulated", entity="tester", project="p")
_ROWS, _EVENTS = 6, 2
# The log is read so many bytes at a time, so that there are checkpoints all along a log of one kilobyte.
_READ, _LOOKAHEAD = 70, 110
# So late servers may show what they acknowledged (seconds).
_LATE = 4.0
_MOST_SESSIONS = 400


class Died(BaseException):
    """The process was killed, or the power failed: nothing of it runs any more."""


class _VirtualTime(selectors.SelectSelector):
    """A selector that does not wait: the clock jumps."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        assert timeout is not None, "everything waits for something that will never come"
        self.now += max(0.0, timeout)
        return []


class _Loop(asyncio.SelectorEventLoop):
    """An event loop in virtual time; what goes to a thread is done at once."""

    def __init__(self) -> None:
        self._virtual = _VirtualTime()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Result], *args: Any
    ) -> asyncio.Future[Result]:
        done: asyncio.Future[Result] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - as a thread hands over whatever was raised in it
            done.set_exception(error)
        return done


@dataclass
class _SimulatedFile:
    """`content` is what a process sees; the first `durable` bytes of it survive the power."""

    content: bytes = b""
    durable: int = 0
    named: bool = False


@dataclass
class Disk:
    """Where ledgers lie. What was not synced may be lost, in part or (if it `loses_names`) whole, with the power."""

    chance: random.Random
    faults: float
    loses_names: bool
    files: dict[Path, _SimulatedFile] = field(default_factory=dict)
    alive: bool = True

    def power_off(self) -> None:
        """Keep what is durable, and as much of the rest as chance wants."""
        for path, file in list(self.files.items()):
            if self.loses_names and not file.named and self.chance.random() < 0.3:
                del self.files[path]
                continue
            file.content = file.content[: self.chance.randint(file.durable, len(file.content))]

    def hurt_checkpoints(self, folder: Path) -> None:
        """Nobody synced the checkpoints in that folder: the power may take a part of one, or leave an older one."""
        for path in sorted(folder.glob("*.backhaul.*")):
            throw, content = self.chance.random(), path.read_bytes()
            if throw < 0.2:
                path.unlink()
            elif throw < 0.4:
                path.write_bytes(content[: self.chance.randint(0, len(content))])
            elif throw < 0.6:
                path.write_bytes(bytes(len(content)))

    def strike(self) -> None:
        """Maybe fail, maybe die."""
        if not self.alive:
            raise Died
        throw = self.chance.random()
        if throw < self.faults / 3:
            self.alive = False
            raise Died
        if throw < self.faults:
            number = self.chance.choice([errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE])
            raise OSError(number, "simulated")


class _SimulatedLock:
    """The ledger's file, in the world's disk instead of the machine's."""

    def __init__(self, disk: Disk, path: Path) -> None:
        self._disk, self._path = disk, path

    def acquire(self) -> bytes:
        self._disk.strike()
        return self._file.content

    def append(self, data: bytes) -> None:
        file = self._file
        written = 0
        try:
            self._disk.strike()
            written = len(data)
            file.content += data
            self._disk.strike()
            file.durable = len(file.content)
        except (OSError, Died):
            if not written:
                # A short write: a part of it is in the file, and nobody synced it.
                file.content += data[: self._disk.chance.randint(0, len(data))]
            raise

    def replace(self, content: bytes) -> None:
        self._disk.strike()
        self._disk.files[self._path] = _SimulatedFile(content, len(content), named=True)
        self._disk.strike()

    def release(self) -> None:
        """Locks die with their process."""

    @property
    def _file(self) -> _SimulatedFile:
        return self._disk.files.setdefault(self._path, _SimulatedFile())


@dataclass
class SimulatedServer:
    """A W&B server with one run: lines by number, files by name; late to show, and not always there."""

    chance: random.Random
    disk: Disk
    faults: float
    exists: bool = False
    lines: dict[Stream, dict[int, str]] = field(default_factory=lambda: {stream: {} for stream in NUMBERED})
    files: dict[str, tuple[int, str]] = field(default_factory=dict)
    summary: str = "{}"
    config: str = "{}"
    state: str = "running"
    alerts: list[str] = field(default_factory=list)
    lost_alert_answers: int = 0
    ever: dict[tuple[Stream, int], set[str]] = field(default_factory=dict)
    _shown: list[tuple[float, RunStatus | None]] = field(default_factory=lambda: [(0.0, None)])
    _summaries: list[tuple[int, str]] = field(default_factory=list)
    """How many rows were there when each summary came."""

    @property
    def artifacts(self) -> Any:
        """None of these runs logs artifacts."""
        raise AssertionError("unexpected")

    async def viewer(self) -> Viewer:
        """Whose key it is."""
        return await self._ask(lambda: Viewer("tester", "tester", ""))

    async def features(self) -> frozenset[str]:
        """No special ones."""
        return await self._ask(lambda: frozenset[str]())

    async def run_status(self, entity: str | None, project: str | None, run_id: str) -> RunStatus | None:
        """What the server shows, which may be what was true some seconds ago; never older than what it showed once."""

        def shown() -> RunStatus | None:
            now = asyncio.get_running_loop().time()
            newest = len(self._shown) - 1
            oldest = max((place for place, (since, _) in enumerate(self._shown) if since <= now - _LATE), default=0)
            del self._shown[: self.chance.choice([newest, self.chance.randint(oldest, newest)])]
            status = self._shown[0][1]
            return status and replace(status, state=self.state, files=self._held())

        return await self._ask(shown)

    async def history_rows(self, address: RunAddress, min_step: int, max_step: int, page_size: int) -> list[str]:
        """The rows of these steps."""

        def rows() -> list[str]:
            listed = self.lines[Stream.HISTORY].values()
            return [row for row in listed if min_step <= json.loads(row)["_step"] < max_step][:page_size]

        return await self._ask(rows)

    async def console_tail(self, address: RunAddress, most: int) -> ConsoleTail:
        """The last console lines."""

        def tail() -> ConsoleTail:
            numbered = sorted(self.lines[Stream.OUTPUT].items())[-most:]
            parted = ((number, *line.split(" ", 1)) for number, line in numbered)
            return ConsoleTail(len(self.lines[Stream.OUTPUT]), tuple(ConsoleLine(*each) for each in parted))

        return await self._ask(tail)

    async def upsert_run(self, run: RunUpsert) -> RunAddress:
        """Create or change the run."""

        def upsert() -> RunAddress:
            self.exists = True
            self.config = run.config or self.config
            return RunAddress("tester", "p", run.run_id, "id")

        return await self._change(upsert)

    async def open_run(self, run: RunUpsert, files: Sequence[str] = ()) -> tuple[RunAddress, list[UploadTarget] | None]:
        """Create or change the run, and give addresses for uploads at once, or not."""
        address = await self.upsert_run(run)
        return address, [_target(name) for name in files] if files and self.chance.random() < 0.5 else None

    async def file_stream(self, address: RunAddress, body: bytes) -> None:
        """Take lines under their numbers."""
        await self._change(lambda: self._take(json.loads(body)))

    async def create_run_files(self, address: RunAddress, names: Sequence[str]) -> list[UploadTarget]:
        """Addresses for uploads."""
        return await self._ask(lambda: [_target(name) for name in names])

    async def put_file(self, target: UploadTarget, body: bytes | FileSlice, md5: str | None = None) -> None:
        """Take a file."""

        def put() -> None:
            content = body.path.read_bytes() if isinstance(body, FileSlice) else body
            self.files[target.name] = (len(content), base64.b64encode(hashlib.md5(content).digest()).decode())

        await self._change(put)

    async def send_alert(self, address: RunAddress, title: str, text: str, severity: str, wait_duration: int) -> None:
        """Write to somebody."""
        before, answered = len(self.alerts), False
        try:
            await self._ask(lambda: self.alerts.append(title))
            answered = True
        finally:
            self.lost_alert_answers += len(self.alerts) > before and not answered

    def forget(self) -> None:
        """Come back from a backup: the last lines, files and all else that came late are gone.

        A summary never tells of steps that are gone: a backup has both as they were at one time.
        """
        lines = {stream: self.chance.randint(0, len(self.lines[stream])) for stream in NUMBERED}
        self.files = {name: file for name, file in self.files.items() if self.chance.random() < 0.5}
        self.state = "running"
        for stream, count in lines.items():
            self.lines[stream] = {number: self.lines[stream][number] for number in range(count)}
        told = [summary for rows, summary in self._summaries if rows <= lines[Stream.HISTORY]]
        self.summary = told[-1] if told else "{}"
        self._shown = [(0.0, self._status())]

    def _take(self, body: Mapping[str, Any]) -> None:
        for name, part in body.get("files", {}).items():
            stream = Stream(name)
            if stream is Stream.SUMMARY:
                self.summary = part["content"][-1]
                continue
            for number, line in enumerate(part["content"], part["offset"]):
                assert number <= len(self.lines[stream]), f"a gap before line {number} of {stream}"
                self.lines[stream][number] = line
                self.ever.setdefault((stream, number), set()).add(line)
        self._summaries.append((len(self.lines[Stream.HISTORY]), self.summary))
        if "complete" in body:
            self.state = "finished"

    def _status(self) -> RunStatus | None:
        if not self.exists:
            return None
        history, events, output = (self.lines[stream] for stream in (Stream.HISTORY, Stream.EVENTS, Stream.OUTPUT))
        return RunStatus(
            len(history), len(events), len(output), self.summary, self.config,
            list(history.values())[-1:], list(events.values())[-1:], "", (), "", started=True,
        )  # fmt: skip

    def _held(self) -> tuple[RemoteFile, ...]:
        return tuple(RemoteFile(name, *digest) for name, digest in self.files.items())

    async def _change(self, change: Callable[[], Result]) -> Result:
        def changed() -> Result:
            result = change()
            self._shown.append((asyncio.get_running_loop().time(), self._status()))
            return result

        return await self._ask(changed)

    async def _ask(self, act: Callable[[], Result]) -> Result:
        """Do what is asked, before or after any misfortune, or not at all."""
        if not self.disk.alive:
            raise Died
        await asyncio.sleep(self.chance.random() * 0.1)
        if self.chance.random() >= self.faults:
            return act()
        done = self.chance.random() < 0.5
        if done:
            act()
        if self.chance.random() < 0.25:
            self.disk.alive = False
            raise Died
        await asyncio.sleep(self.chance.choice([0.0, 1.0, 30.0]))
        raise self.chance.choice(
            [ConnectionLost("x"), TimedOut("x"), ServerUnavailable("x"), RateLimited("x", retry_after=3.0)]
        )


def _target(name: str) -> UploadTarget:
    return UploadTarget(name, f"http://simulated/{name}")


def record_parts(folder: Path) -> list[Inspection]:
    """Two parts of one resumed run, and what a third would find: rows, system metrics, console, an alert each."""
    return [inspect(_part(folder / f"part-{part}", part)) for part in (1, 2)]


def _part(folder: Path, part: int) -> RunDirectory:
    (folder / "files").mkdir(parents=True)
    log = folder / "run-simulated.wandb"
    with log.open("wb") as file:
        writer = LogWriter(file)
        for number, record in enumerate(_records(part), start=1):
            record.num = number
            writer.write(record.SerializeToString())
    return RunDirectory(folder, log)


def _records(part: int) -> Iterator[Any]:
    began = 1000 * part
    first = Record()
    first.run.run_id, first.run.project, first.run.entity = "simulated", "p", "tester"
    first.run.start_time.seconds = began
    first.run.resumed = part > 1
    yield first
    for value in range(_ROWS):
        row = Record()
        items = {"part": part, "value": value, "_timestamp": began + value, "_step": value}
        history = HistoryRecord()
        for key, item in items.items():
            history.item.add(nested_key=[key], value_json=str(item).encode())
        row.history = history.SerializeToString()
        yield row
        line = Record()
        line.output_raw.output_type = 1
        line.output_raw.timestamp.seconds = began + value
        line.output_raw.line = f"part {part} line {value}\n"
        yield line
    for number in range(_EVENTS):
        stats = Record()
        stats.stats.timestamp.seconds = began + number
        stats.stats.item.add(key="cpu", value_json=str(100 * part + number).encode())
        yield stats
    alert = Record()
    alert.alert.title, alert.alert.text = f"alert {part}", "text"
    yield alert
    summary = Record()
    content = SummaryRecord()
    content.update.add(key="part", value_json=str(part).encode())
    summary.summary = content.SerializeToString()
    yield summary
    end = Record()
    end.exit.exit_code = 0
    yield end


def live_through(seed: int, parts: Sequence[Inspection], state: Path) -> None:
    """One life of a run, from the first sync to the proof; AssertionError when a promise is broken."""
    chance = random.Random(seed)
    disk = Disk(chance, chance.choice([0.0, 0.02, 0.1]), chance.random() < 0.5)
    server = SimulatedServer(chance, disk, chance.choice([0.02, 0.1, 0.3]))
    ever_verified = False
    _forget_checkpoints(parts)
    with contextlib.ExitStack() as stack:
        for door in _doors(disk):
            stack.enter_context(door)
        for session in range(_MOST_SESSIONS):
            if session == _MOST_SESSIONS // 2:
                server.faults = disk.faults = 0.0
            disk.alive = True
            outcomes = _session(chance, server, parts, state)
            _judge(server, outcomes, parts)
            if not disk.alive and chance.random() < 0.5:
                disk.power_off()
                for part in parts:
                    disk.hurt_checkpoints(part.directory.path)
            if [outcome.state for outcome in outcomes] == [RunState.VERIFIED] * len(parts):
                break
            # Who was told that all is there is not asked about backups that are older.
            ever_verified |= any(b'"verified"' in file.content for file in disk.files.values())
            if not ever_verified and chance.random() < 0.05:
                server.forget()
        else:
            raise AssertionError(f"not home after {_MOST_SESSIONS} syncs: {outcomes[-1].error}")
    _judge_end(server)


def _doors(disk: Disk) -> Iterator[contextlib.AbstractContextManager[object]]:
    """What leads from the engine to this world's disk, and to short steps through the log."""
    yield mock.patch("backhaul.sync.ledger.LedgerLock", lambda path: cast(LedgerLock, _SimulatedLock(disk, path)))
    yield mock.patch("backhaul.sync.delivery.Checkpoints", partial(_SimulatedCheckpoints, disk))
    for name in ("framing._FIRST_READ", "framing._READ"):
        yield mock.patch(f"backhaul.wandblog.{name}", _READ)
    for name in ("framing.LOOKAHEAD", "detour.LOOKAHEAD"):
        yield mock.patch(f"backhaul.wandblog.{name}", _LOOKAHEAD)
    for name in ("LEAST_BYTES_BETWEEN", "_TIMES_ITS_SIZE"):
        yield mock.patch(f"backhaul.sync.checkpoint.{name}", 0)


class _SimulatedCheckpoints(Checkpoints):
    """Checkpoints on a disk that may fail, or take the process with it, before and after everything that is done."""

    # What the last sessions have gone on from, for whoever wants to know that they did.
    taken_up: ClassVar[int] = 0

    def __init__(self, disk: Disk, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._disk = disk

    def load(self, progress: Progress) -> Checkpoint | None:
        self._strike()
        found = super().load(progress)
        type(self).taken_up += found is not None
        return found

    def write(self, checkpoint: Checkpoint) -> None:
        if self._strike():
            super().write(checkpoint)
            self._strike()

    def keep(self, progress: Progress) -> None:
        if self._strike():
            super().keep(progress)
            self._strike()

    def remove(self) -> None:
        super().remove()
        self._strike()

    def _strike(self) -> bool:
        """Maybe die; maybe fail as a disk without room does, False then."""
        try:
            self._disk.strike()
        except OSError:
            super().remove()
            return False
        return True


def _forget_checkpoints(parts: Sequence[Inspection]) -> None:
    for part in parts:
        for path in part.directory.path.glob("*.backhaul.*"):
            path.unlink()


def _session(chance: random.Random, server: SimulatedServer, parts: Sequence[Inspection], state: Path) -> list[Outcome]:
    """One run of the command, until it ends or dies."""
    loop = _Loop()
    outcomes: list[Outcome] = []

    async def deliver() -> None:
        after: Mapping[Stream, int] | None = None
        for index, part in enumerate(parts):
            options = SyncOptions(state, batch_bytes=chance.choice([1, 400, 1 << 20]))
            retrier = Retrier(clock=loop.time, chance=chance.random)
            door = cast(Server, server)
            passage = Passage(part, _TO, door, options, Reporter(), retrier, after, parts[index + 1 :])
            delivery = Delivery(passage, SizeLimit(), Digests())
            outcomes.append(delivery.outcome)
            try:
                await delivery.deliver()
            except Exception as error:  # noqa: BLE001 - as the engine's last door of one run
                delivery.outcome.fail(told(error))
                return
            after = delivery.end

    with contextlib.ExitStack() as stack:
        stack.callback(loop.close)
        for door in ("proof.write_receipt", "proof.write_synced_marker"):
            stack.enter_context(mock.patch(f"backhaul.sync.{door}", return_value=Path("receipt")))
        with contextlib.suppress(Died):
            loop.run_until_complete(deliver())
        _bury(loop)
    return outcomes


def _bury(loop: asyncio.AbstractEventLoop) -> None:
    """What the dead process had begun does not go on."""
    for task in asyncio.all_tasks(loop):
        task.cancel()
        with contextlib.suppress(Died, asyncio.CancelledError, Exception):
            loop.run_until_complete(task)


def _judge(server: SimulatedServer, outcomes: Sequence[Outcome], parts: Sequence[Inspection]) -> None:
    """After every session: nothing was said that is not so, and no line was ever two."""
    for outcome, part in zip(outcomes, parts, strict=False):
        if outcome.state is RunState.VERIFIED:
            place = parts.index(part)
            assert _rows(server)[: _ROWS * (place + 1)] == _all_rows()[: _ROWS * (place + 1)], "verified, and not there"
        elif outcome.error is not None:
            assert outcome.error.exit_code in (5, 8), f"a passing trouble was told as {outcome.error!r}"
    for place, lines in server.ever.items():
        assert len(lines) == 1, f"line {place[1]} of {place[0]} was {lines}"


def _judge_end(server: SimulatedServer) -> None:
    assert _rows(server) == _all_rows()
    history, events, output = (list(server.lines[stream].values()) for stream in NUMBERED)
    assert [json.loads(line)["_step"] for line in history] == list(range(2 * _ROWS))
    assert [json.loads(line)["system.cpu"] for line in events] == [
        100 * part + number for part in (1, 2) for number in range(_EVENTS)
    ]
    assert [line.split(" ", 1)[1] for line in output] == [
        f"part {part} line {value}" for part in (1, 2) for value in range(_ROWS)
    ]
    assert (server.state, json.loads(server.summary)["part"]) == ("finished", 2)
    assert set(server.alerts) == {"alert 1", "alert 2"}
    assert {"config.yaml", "output.log"} <= server.files.keys()


def _rows(server: SimulatedServer) -> list[tuple[int, int]]:
    rows = map(json.loads, server.lines[Stream.HISTORY].values())
    return [(row["part"], row["value"]) for row in rows]


def _all_rows() -> list[tuple[int, int]]:
    return [(part, value) for part in (1, 2) for value in range(_ROWS)]
