"""Bringing one fragment home: its lines, its files, its end; then reading back, receipt and marker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from backhaul.errors import StillRecording
from backhaul.runs.inspect import Inspection
from backhaul.runs.life import Life, life_of
from backhaul.runs.stream import NUMBERED, Stream
from backhaul.sync.address import address_of
from backhaul.sync.batch import Batch, BatchMaker, End
from backhaul.sync.checkpoint import Captures, Checkpoint
from backhaul.sync.checkpoints import Checkpoints
from backhaul.sync.console_text import ConsoleText
from backhaul.sync.destination import Destination
from backhaul.sync.digests import Digests
from backhaul.sync.ledger import Ledger
from backhaul.sync.line_sender import LineSender, quarantined, set_aside
from backhaul.sync.log_digest import Beginning, LogDigest, sha256_of
from backhaul.sync.numbering import Numbering
from backhaul.sync.options import SyncOptions
from backhaul.sync.outcome import Outcome, RunState
from backhaul.sync.payload_delivery import PayloadDelivery
from backhaul.sync.progress import LogStamp, Progress, lines_entry, no_lines
from backhaul.sync.proof import Proof
from backhaul.sync.reporter import Reporter
from backhaul.sync.retry import Retrier
from backhaul.sync.server_tail import TailCheck
from backhaul.sync.size_limit import SizeLimit
from backhaul.sync.upload import Uploader
from backhaul.sync.upserts import upsert_of
from backhaul.sync.verify import Expected
from backhaul.wandblog import LogEnd
from backhaul.wire.remote import RemoteFile, RunAddress, UploadTarget
from backhaul.wire.server import Server

# How long, in seconds, the last lines wait for the files before they go alone.
_A_MOMENT = 1.0
# What the official client reports for a script that was killed and left no exit record.
_EXIT_CODE_OF_A_KILLED_RUN = 1


@dataclass(slots=True)
class Delivery:
    """One fragment on its way to one destination.

    `after` is where the fragment of the same run before it ends at the destination, `later` are the fragments after it.
    Every method that talks to the server goes through the retrier; every acknowledgement is in the ledger before the
    next thing happens. `end` tells where this fragment ends, once it is delivered. `address` is where the run is,
    `stamp` the log as it lay there when it was read; both None until known. `beginning` is what an earlier delivery of
    the same growing run knows of its log.
    """

    run: Inspection
    destination: Destination
    server: Server
    options: SyncOptions
    reporter: Reporter
    retrier: Retrier
    size_limit: SizeLimit
    digests: Digests
    after: Mapping[Stream, int] | None = None
    later: Sequence[Inspection] = ()
    beginning: Beginning = field(default_factory=Beginning)
    outcome: Outcome = field(init=False)
    end: Mapping[Stream, int] = field(default_factory=no_lines)
    address: RunAddress | None = None
    stamp: LogStamp | None = None
    _key: str = field(init=False)

    def __post_init__(self) -> None:
        self._key = self.destination.key(self.run.identity)
        self.outcome = Outcome.at(self.destination, self.run)

    async def deliver(self) -> Outcome:
        """Send what the destination lacks, read it back, write the receipt. Raises what ends it early."""
        with ExitStack() as stack:
            ledger, life, stamp = await asyncio.to_thread(self._opened)
            stack.enter_context(ledger)
            self.stamp = stamp
            progress = ledger.progress(self._key)
            # A receipt that was carried here closes a ledger that knows of no line: then the destination is asked.
            if progress.begun and progress.verified == stamp and not self.options.force:
                Checkpoints(self.run, ledger.path, ConsoleText()).remove()
                return self._known_as_verified(progress)
            self.reporter.started(self.run)
            self.outcome.state = RunState.SENDING
            checkpoints = self._checkpoints(ledger, stack.enter_context(ConsoleText()), life)
            try:
                await self._send(ledger, stamp, checkpoints, life)
            finally:
                self.beginning.know(checkpoints.log)
            if self.outcome.state is RunState.VERIFIED:
                checkpoints.remove()
        return self.outcome

    def _checkpoints(self, ledger: Ledger, console_text: ConsoleText, life: Life) -> Checkpoints:
        """Those of the run; before it is proved, all of its log is held against them."""
        known = self.beginning.look(self.run.directory.log)
        return Checkpoints(self.run, ledger.path, console_text, known if life.goes_on else None)

    def _opened(self) -> tuple[Ledger, Life, LogStamp]:
        log = self.run.directory.log
        ledger = Ledger.open(log, self.options.state_folder)
        try:
            return ledger, self.life(), LogStamp.of(log)
        except BaseException:
            ledger.close()
            raise

    def life(self) -> Life:
        """Whether the run is still being recorded. Raises OSError when its log cannot be looked at."""
        if self.run.end is LogEnd.COMPLETE:
            return Life(False, "")
        identity = self.run.identity
        return life_of(
            self.run.directory,
            identity.host,
            identity.start_time,
            now=time.time(),
            dead_after=self.options.dead_after,
        )

    def _known_as_verified(self, progress: Progress) -> Outcome:
        self.outcome.state = RunState.VERIFIED
        self.outcome.local = self.outcome.remote = progress.lines
        self.outcome.files_local = self.outcome.files_remote = len(progress.files)
        self.outcome.artifacts_local = self.outcome.artifacts_remote = len(progress.artifacts)
        if progress.entity and progress.project:
            self.outcome.is_at(self.destination, RunAddress(progress.entity, progress.project, self.outcome.run_id))
        self.outcome.receipt = progress.receipt
        self.end = {stream: progress.base[stream] + progress.lines[stream] for stream in NUMBERED}
        return self.outcome

    async def _send(self, ledger: Ledger, stamp: LogStamp, checkpoints: Checkpoints, life: Life) -> None:
        recording = life.goes_on
        numbering = self._numbering()
        status = await numbering.status()
        held = status.files if status is not None else ()
        progress = await numbering.begin(ledger, self._key, status)
        self.outcome.remote = progress.lines
        start = await asyncio.to_thread(checkpoints.load, progress) if checkpoints.is_worth_a_look else None
        end = await numbering.overtaken_at(status, progress, start)
        maker = self._maker(progress, checkpoints.console_text, start, recording=recording and end is None)
        if end is not None:
            self.end = end
            await self._send_overtaken(ledger, progress, maker, stamp, held)
            return
        tail = numbering.tail_check(status, progress)
        if status is not None and (self.run.identity.resumes or self.after is not None):
            maker.rows.go_on_from(status.config, status.summary)
        address, expected = await self._send_all(ledger, maker, checkpoints, held, tail)
        self.outcome.state = RunState.SENT
        if recording:
            log = self.run.directory.log
            raise StillRecording(f"{log} is still being written ({life.because}); what is whole was sent.")
        if self.options.live and life.because:
            self.outcome.notes.append(life.because)
        digest = await self._digest(maker, stamp)
        await self._proof().give(ledger, self._key, address, expected, stamp, digest)

    async def _digest(self, maker: BatchMaker, stamp: LogStamp) -> str:
        """SHA-256 of the log as it was when the delivery began: known from reading, unless it has grown since."""
        if maker.captures is not None and maker.captures.log.size == stamp.size:
            return maker.captures.log.hexdigest()
        return await asyncio.to_thread(sha256_of, self.run.directory.log, stamp.size)

    async def _send_overtaken(
        self, ledger: Ledger, progress: Progress, maker: BatchMaker, stamp: LogStamp, held: Sequence[RemoteFile]
    ) -> None:
        """Deliver what is only this fragment's: config, summary and end of the run are the later fragments' by now."""
        address = await address_of(self.run.identity, self.destination, progress, self.server, self.retrier)
        self.outcome.is_at(self.destination, address)
        while (batch := await asyncio.to_thread(maker.next)) is not None:
            self.outcome.local = batch.next
        self.outcome.damage = maker.reader.damage
        self.outcome.quarantined += quarantined(ledger.record(self._key, lines_entry(self.outcome.local)))
        payloads = self._payloads(ledger, held)
        await asyncio.to_thread(payloads.prepare, maker.rows, maker.console_text, made_from_log=False)
        files, artifacts = await payloads.send(address, maker.rows, None)
        self._set_aside(maker)
        expected = Expected(self.end, None, None, "{}", files, artifacts, finished=False, followed=True)
        digest = await self._digest(maker, stamp)
        await self._proof().give(ledger, self._key, address, expected, stamp, digest)

    def _proof(self) -> Proof:
        return Proof(self.run, self.destination, self.server, self.options, self.reporter, self.retrier, self.outcome)

    def _payloads(self, ledger: Ledger, held: Sequence[RemoteFile]) -> PayloadDelivery:
        uploader = Uploader(
            self.run, self.server, self.options, self.reporter, self.retrier, self.outcome, self.digests, held
        )
        return PayloadDelivery(
            self.run, self.server, self.options, self.retrier, self.outcome, ledger, self._key, uploader
        )

    def _numbering(self) -> Numbering:
        return Numbering(self.run, self.destination, self.server, self.options, self.retrier, self.after, self.later)

    def _line_sender(
        self, ledger: Ledger, address: RunAddress, tail: TailCheck, checkpoints: Checkpoints
    ) -> LineSender:
        return LineSender(
            self.run,
            address,
            self.server,
            self.retrier,
            self.reporter,
            ledger,
            self._key,
            self.size_limit,
            self.outcome,
            tail,
            checkpoints,
        )

    def _maker(
        self, progress: Progress, console_text: ConsoleText, start: Checkpoint | None, *, recording: bool
    ) -> BatchMaker:
        log = LogDigest() if start is None else start.log.copy()
        return BatchMaker(
            self.run.directory.log,
            self.run.identity,
            progress.structured,
            progress.starting_step,
            console_text,
            self.options.batch_bytes,
            recording,
            start,
            Captures(self.run.identity.run_id, progress.starting_step, log),
        )

    async def _send_all(
        self,
        ledger: Ledger,
        maker: BatchMaker,
        checkpoints: Checkpoints,
        held: Sequence[RemoteFile],
        tail: TailCheck,
    ) -> tuple[RunAddress, Expected]:
        """Send the run; returns where it is, and what the destination must then hold.

        The run is told before its first line and, unless the log was read to its end by then, again at the end. The
        last lines wait a moment for the files, so as to go with the end in one request.
        """
        payloads = self._payloads(ledger, held)
        batch, names = await asyncio.to_thread(_read, maker, payloads)
        await tail.of(batch)
        address, targets = await self._open(maker, names)
        sender = self._line_sender(ledger, address, tail, checkpoints)
        last = await sender.send_all_but_the_last(batch, maker)
        if last is not batch:
            address, targets = await self._open(maker, await asyncio.to_thread(_prepared, maker, payloads))
        sending = asyncio.create_task(payloads.send(address, maker.rows, targets))
        try:
            await asyncio.wait([sending], timeout=_A_MOMENT)
            if not sending.done() or sending.exception() is not None:
                last = await sender.send(last)
            files, artifacts = await sending
        finally:
            sending.cancel()
            await asyncio.wait([sending])
        rows, base = maker.rows, ledger.progress(self._key).base
        end = End(sorted(files), _exit_code(maker), rows.preempting, rows.summary_json())
        summary = await sender.send_with_end(last, end)
        self.outcome.name = rows.identity.display_name or self.outcome.name
        self.outcome.damage = maker.reader.damage
        self.outcome.quarantined += quarantined(ledger.progress(self._key))
        self._set_aside(maker)
        self.end = {stream: base[stream] + self.outcome.local.get(stream, 0) for stream in NUMBERED}
        finished = end.exit_code is not None
        # Lines of a later fragment that was sent first may be behind ours; it comes next, and moves them.
        followed = bool(self.later)
        return address, Expected(
            self.end, sender.last_row, summary, rows.config_json(), files, artifacts, finished, followed
        )

    async def _open(self, maker: BatchMaker, names: Sequence[str]) -> tuple[RunAddress, Sequence[UploadTarget] | None]:
        """Tell the destination of the run as far as it was read, and ask where these files of it are to go."""
        upsert = upsert_of(self.run.identity, maker.rows, self.destination, self.address)
        # Should a server fail because of the files, a further try without them tells.
        tries = iter([names])
        address, targets = await self.retrier.run(lambda: self.server.open_run(upsert, next(tries, ())))
        self.address = address
        self.outcome.is_at(self.destination, address)
        return address, targets

    def _set_aside(self, maker: BatchMaker) -> None:
        self.outcome.quarantined += set_aside(maker.rows)
        self.outcome.notes += maker.reader.notes
        if maker.rows.unknown:
            # A newer Backhaul may know what they are.
            self.outcome.left_out.append(f"records of unknown kinds: {maker.rows.unknown}")
        if maker.reader.tear is not None and not maker.recording:
            self.outcome.notes.append(maker.reader.tear.sentence)


def _read(maker: BatchMaker, payloads: PayloadDelivery) -> tuple[Batch, list[str]]:
    """The first lines; when they are all, the names of the files as well: many a short run needs one thread once."""
    batch = maker.next()
    assert batch is not None, "a log has a batch, if an empty one"
    return batch, _prepared(maker, payloads) if batch.is_last else []


def _prepared(maker: BatchMaker, payloads: PayloadDelivery) -> list[str]:
    """The names of the files that the destination lacks, now that the log is read to its end."""
    return payloads.prepare(maker.rows, maker.console_text, made_from_log=not maker.recording)


def _exit_code(maker: BatchMaker) -> int | None:
    """What is told as the end of the run; None when it goes on."""
    end = maker.rows.exit
    if maker.recording or (end is not None and not end.complete):
        return None
    return _EXIT_CODE_OF_A_KILLED_RUN if end is None else end.code
