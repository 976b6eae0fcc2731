"""Bringing one fragment home: its lines, its files, its end; then reading back, receipt and marker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from backhaul.errors import StillRecording
from backhaul.runs.life import Life, life_of
from backhaul.runs.stream import NUMBERED, Stream
from backhaul.sync.batch import BatchMaker
from backhaul.sync.checkpoint import Captures, Checkpoint
from backhaul.sync.checkpoints import Checkpoints
from backhaul.sync.console_text import ConsoleText
from backhaul.sync.digests import Digests
from backhaul.sync.ledger import Ledger
from backhaul.sync.log_digest import Beginning, LogDigest, sha256_of
from backhaul.sync.numbering import Numbering
from backhaul.sync.outcome import Outcome, RunState
from backhaul.sync.passage import Passage
from backhaul.sync.payload_delivery import PayloadDelivery
from backhaul.sync.progress import LogStamp, Progress, lines_entry, no_lines
from backhaul.sync.proof import prove
from backhaul.sync.sending import Sending
from backhaul.sync.size_limit import SizeLimit
from backhaul.sync.upload import Uploader
from backhaul.wandblog import LogEnd
from backhaul.wire.remote import RunAddress


@dataclass(slots=True)
class Delivery:
    """One fragment on its way to one destination, from the first look at its ledger to the proof.

    `end` tells where this fragment ends there, once it is delivered, `stamp` is the log as it lay there when it was
    read; None until known. `beginning` is what an earlier delivery of the same growing run knows of its log.
    """

    passage: Passage
    size_limit: SizeLimit
    digests: Digests
    beginning: Beginning = field(default_factory=Beginning)
    end: Mapping[Stream, int] = field(default_factory=no_lines)
    stamp: LogStamp | None = None

    @property
    def outcome(self) -> Outcome:
        """How it went so far."""
        return self.passage.outcome

    async def deliver(self) -> None:
        """Send what the destination lacks, read it back, write the receipt. Raises what ends it early."""
        passage = self.passage
        with ExitStack() as stack:
            ledger, life, stamp = await asyncio.to_thread(self._opened)
            stack.enter_context(ledger)
            self.stamp = stamp
            progress = ledger.progress(passage.key)
            # A receipt that was carried here closes a ledger that knows of no line: then the destination is asked.
            if progress.begun and progress.verified == stamp and not passage.options.force:
                Checkpoints(passage.run, ledger.path, ConsoleText()).remove()
                self._tell_verified(progress)
                return
            passage.reporter.started(passage.run)
            self.outcome.state = RunState.SENDING
            checkpoints = self._checkpoints(ledger, stack.enter_context(ConsoleText()), life)
            try:
                await self._send(ledger, stamp, checkpoints, life)
            finally:
                self.beginning.know(checkpoints.log)
            if self.outcome.state is RunState.VERIFIED:
                checkpoints.remove()

    def _checkpoints(self, ledger: Ledger, console_text: ConsoleText, life: Life) -> Checkpoints:
        """Those of the run; before it is proved, all of its log is held against them."""
        run = self.passage.run
        known = self.beginning.look(run.directory.log)
        return Checkpoints(run, ledger.path, console_text, known if life.goes_on else None)

    def _opened(self) -> tuple[Ledger, Life, LogStamp]:
        log = self.passage.run.directory.log
        ledger = Ledger.open(log, self.passage.options.state_folder)
        try:
            return ledger, self.life(), LogStamp.of(log)
        except BaseException:
            ledger.close()
            raise

    def life(self) -> Life:
        """Whether the run is still being recorded. Raises OSError when its log cannot be looked at."""
        run = self.passage.run
        if run.end is LogEnd.COMPLETE:
            return Life(False, "")
        who, dead_after = run.identity, self.passage.options.dead_after
        return life_of(run.directory, who.host, who.start_time, now=time.time(), dead_after=dead_after)

    def _tell_verified(self, progress: Progress) -> None:
        outcome = self.outcome
        outcome.state = RunState.VERIFIED
        outcome.local = outcome.remote = progress.lines
        outcome.files_local = outcome.files_remote = len(progress.files)
        outcome.artifacts_local = outcome.artifacts_remote = len(progress.artifacts)
        if progress.entity and progress.project:
            address = RunAddress(progress.entity, progress.project, outcome.run_id)
            outcome.is_at(self.passage.destination, address)
        outcome.receipt = progress.receipt
        self.end = {stream: progress.base[stream] + progress.lines[stream] for stream in NUMBERED}

    async def _send(self, ledger: Ledger, stamp: LogStamp, checkpoints: Checkpoints, life: Life) -> None:
        passage, numbering = self.passage, Numbering(self.passage)
        ahead = self._look_ahead(ledger, checkpoints)
        status = await numbering.status()
        progress = await numbering.begin(ledger, status)
        if (standing := progress.standing(stamp.size)) != progress.lines:
            progress = ledger.record(passage.key, lines_entry(standing))
        self.outcome.remote = progress.lines
        await ahead
        start = await asyncio.to_thread(checkpoints.load, progress) if checkpoints.is_worth_a_look else None
        end = await numbering.overtaken_at(status, progress, start)
        maker = self._maker(progress, checkpoints.console_text, start, recording=life.goes_on and end is None)
        uploader = Uploader(passage, self.digests, status.files if status is not None else ())
        sending = Sending(passage, ledger, maker, PayloadDelivery(passage, ledger, uploader), stamp.size)
        if end is not None:
            address, expected = await sending.overtaken(progress, end)
        else:
            if status is not None and passage.goes_on:
                maker.rows.go_on_from(status.config, status.summary)
            tail = numbering.tail_check(status, progress)
            address, expected = await sending.whole(self.size_limit, tail, checkpoints)
        self.end = expected.lines
        self.outcome.state = RunState.SENT
        if maker.recording:
            log = passage.run.directory.log
            raise StillRecording(
                f"{log} is still being written ({life.because}); what is whole was sent."
                if life.next is None
                else f"{log} ends before its run does ({life.because}); what is whole was sent.",
                next=life.next,
            )
        if passage.options.live and life.because and end is None:
            self.outcome.notes.append(life.because)
        await prove(passage, ledger, address, expected, stamp, await self._digest(maker, stamp))

    def _look_ahead(self, ledger: Ledger, checkpoints: Checkpoints) -> Awaitable[None]:
        """While the destination is asked, look at the beginning of a log that was sent in part."""
        loop = asyncio.get_running_loop()
        if checkpoints.is_worth_a_look and ledger.progress(self.passage.key).begun:
            return loop.run_in_executor(None, checkpoints.look_ahead)
        nothing = loop.create_future()
        nothing.set_result(None)
        return nothing

    async def _digest(self, maker: BatchMaker, stamp: LogStamp) -> str:
        """SHA-256 of the log as it was when the delivery began: known from reading, unless it has grown since."""
        if maker.captures is not None and maker.captures.log.size == stamp.size:
            return maker.captures.log.hexdigest()
        return await asyncio.to_thread(sha256_of, self.passage.run.directory.log, stamp.size)

    def _maker(
        self, progress: Progress, console_text: ConsoleText, start: Checkpoint | None, *, recording: bool
    ) -> BatchMaker:
        run = self.passage.run
        log = LogDigest() if start is None else start.log.copy()
        return BatchMaker(
            run.directory.log,
            run.identity,
            progress.structured,
            progress.starting_step,
            console_text,
            self.passage.options.batch_bytes,
            recording,
            start,
            Captures(run.identity.run_id, progress.starting_step, log),
        )
