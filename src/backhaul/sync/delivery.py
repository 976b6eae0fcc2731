"""Bringing one fragment home: its lines, its files, its end; then reading back, receipt and marker."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar

from backhaul.errors import BadRequest, StillRecording, TooLarge
from backhaul.runs.artifacts import content_places
from backhaul.runs.inspect import Inspection
from backhaul.runs.life import Life, life_of
from backhaul.runs.rows import NUMBERED, Stream
from backhaul.sync.address import address_of
from backhaul.sync.artifact_delivery import ArtifactDelivery
from backhaul.sync.batch import BatchMaker, end_body
from backhaul.sync.content_sender import ContentSender
from backhaul.sync.destination import Destination
from backhaul.sync.digests import Digests
from backhaul.sync.first_contact import counts_of
from backhaul.sync.ledger import Ledger
from backhaul.sync.line_sender import LineSender, quarantined, set_aside
from backhaul.sync.log_digest import sha256_of
from backhaul.sync.numbering import Numbering
from backhaul.sync.options import SyncOptions
from backhaul.sync.outcome import Outcome, Quarantined, RunState
from backhaul.sync.progress import LogStamp, Progress, lines_entry, no_lines
from backhaul.sync.proof import Proof
from backhaul.sync.reporter import Reporter
from backhaul.sync.retry import Retrier
from backhaul.sync.size_limit import SizeLimit
from backhaul.sync.upload import Uploader
from backhaul.sync.upserts import first_upsert, last_upsert
from backhaul.sync.verify import Expected
from backhaul.wandblog import LogEnd
from backhaul.wire.remote import RunAddress
from backhaul.wire.server import Server

Result = TypeVar("Result")

# What the official client reports for a script that was killed and left no exit record.
_EXIT_CODE_OF_A_KILLED_RUN = 1


@dataclass(slots=True)
class Delivery:
    """One fragment on its way to one destination.

    `after` is where the fragment of the same run before it ends at the destination, `later` are the fragments after it.
    Every method that talks to the server goes through the retrier; every acknowledgement is in the ledger before the
    next thing happens. `end` tells where this fragment ends, once it is delivered. `address` is where the run is,
    `stamp` the log as it lay there when it was read; both None until known.
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
        log = self.run.directory.log
        with ExitStack() as stack:
            ledger = stack.enter_context(await asyncio.to_thread(Ledger.open, log, self.options.state_folder))
            life = await asyncio.to_thread(self.life)
            self.stamp = stamp = LogStamp.of(log)
            progress = ledger.progress(self._key)
            if progress.verified == stamp and not self.options.force:
                return self._known_as_verified(progress)
            self.reporter.started(self.run)
            self.outcome.state = RunState.SENDING
            console_text = stack.enter_context(tempfile.NamedTemporaryFile(prefix="backhaul-console-"))
            await self._send(ledger, stamp, console_text, life)
        return self.outcome

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
        self.outcome.entity = progress.entity or self.outcome.entity
        self.outcome.project = progress.project or self.outcome.project
        self.outcome.receipt = progress.receipt
        self.end = {stream: progress.base[stream] + progress.lines[stream] for stream in NUMBERED}
        return self.outcome

    async def _send(self, ledger: Ledger, stamp: LogStamp, console_text: IO[bytes], life: Life) -> None:
        recording = life.goes_on
        digest = asyncio.create_task(asyncio.to_thread(sha256_of, self.run.directory.log, stamp.size))
        numbering = self._numbering()
        try:
            status = await numbering.status()
            progress = await numbering.begin(ledger, self._key, status)
            end = await asyncio.to_thread(numbering.overtaken_at, status, progress)
            if end is not None:
                self.end = end
                await self._send_overtaken(ledger, progress, console_text, stamp, await digest)
                return
            address = await self._ask(lambda: self.server.upsert_run(first_upsert(self.run.identity, self.destination)))
            self.address = address
            self.outcome.entity, self.outcome.project = address.entity, address.project
            maker = self._maker(progress, console_text, recording=recording)
            last_line = await self._line_sender(ledger, address).send_all(maker)
            expected = await self._send_rest(ledger, address, maker, console_text, last_line, recording)
            self.outcome.state = RunState.SENT
            if recording:
                log = self.run.directory.log
                raise StillRecording(f"{log} is still being written ({life.because}); what is whole was sent.")
            if self.options.live and life.because:
                self.outcome.notes.append(life.because)
            if self.later and any(counts_of(status)[stream] > self.end[stream] for stream in NUMBERED):
                # Lines of a later fragment that was sent first are still behind ours; it comes next, and moves them.
                expected = replace(expected, last_line=None, overtaken=True)
            await self._proof().give(ledger, self._key, address, expected, stamp, await digest)
        finally:
            digest.cancel()

    async def _send_overtaken(
        self, ledger: Ledger, progress: Progress, console_text: IO[bytes], stamp: LogStamp, digest: str
    ) -> None:
        """Deliver what is only this fragment's: config, summary and end of the run are the later fragments' by now."""
        address = await address_of(self.run.identity, self.destination, progress, self.server, self.retrier)
        self.outcome.entity, self.outcome.project = address.entity, address.project
        maker = self._maker(progress, console_text)
        while (batch := await asyncio.to_thread(maker.next)) is not None:
            self.outcome.local = batch.next
        self.outcome.damage = maker.reader.damage
        self.outcome.quarantined += quarantined(ledger.record(self._key, lines_entry(self.outcome.local)))
        files = await self._uploader(address).upload(maker.rows, console_text, ledger, self._key, made_from_log=False)
        artifacts = await self._send_artifacts(ledger, address, maker.rows.artifacts)
        await self._send_alerts(ledger, address, maker)
        self._set_aside(maker)
        expected = Expected(self.end, None, None, "{}", files, artifacts, finished=False, overtaken=True)
        await self._proof().give(ledger, self._key, address, expected, stamp, digest)

    def _proof(self) -> Proof:
        return Proof(self.run, self.destination, self.server, self.options, self.reporter, self.retrier, self.outcome)

    def _uploader(self, address: RunAddress) -> Uploader:
        return Uploader(
            self.run, address, self.server, self.options, self.reporter, self.retrier, self.outcome, self.digests
        )

    def _numbering(self) -> Numbering:
        return Numbering(self.run, self.destination, self.server, self.options, self.retrier, self.after, self.later)

    def _line_sender(self, ledger: Ledger, address: RunAddress) -> LineSender:
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
        )

    def _maker(self, progress: Progress, console_text: IO[bytes], *, recording: bool = False) -> BatchMaker:
        return BatchMaker(
            self.run.directory.log,
            self.run.identity,
            progress.structured,
            progress.starting_step,
            console_text,
            self.options.batch_bytes,
            recording,
        )

    async def _send_rest(
        self,
        ledger: Ledger,
        address: RunAddress,
        maker: BatchMaker,
        console_text: IO[bytes],
        last_line: str | None,
        recording: bool,
    ) -> Expected:
        """Send what is known only at the end: the whole config, the files, the summary, the exit."""
        rows, progress = maker.rows, ledger.progress(self._key)
        config, summary = rows.config_json(), rows.summary_json()
        self.outcome.name = rows.identity.display_name or self.outcome.name
        upsert = last_upsert(self.run.identity, rows, address, config)
        await self._ask(lambda: self.server.upsert_run(upsert))
        files = await self._uploader(address).upload(rows, console_text, ledger, self._key, made_from_log=not recording)
        artifacts = await self._send_artifacts(ledger, address, rows.artifacts)
        await self._send_alerts(ledger, address, maker)
        exit_code = None if recording else rows.exit.code if rows.exit else _EXIT_CODE_OF_A_KILLED_RUN
        if rows.exit is not None and not rows.exit.complete:
            exit_code = None
        summary = await self._send_end(address, partial(end_body, sorted(files), exit_code, rows.preempting), summary)
        completed = {"what": "completed", "completed": exit_code is not None}
        await asyncio.to_thread(ledger.record, self._key, completed)
        self._set_aside(maker)
        self.end = {stream: progress.base[stream] + self.outcome.local.get(stream, 0) for stream in NUMBERED}
        return Expected(self.end, last_line, summary, config, files, artifacts, finished=exit_code is not None)

    async def _send_end(
        self, address: RunAddress, body: Callable[[str | None], bytes], summary: str | None
    ) -> str | None:
        """Send the summary and the end; a summary that is refused does not keep the end back. The one that is there."""
        try:
            await self._ask(lambda: self.server.file_stream(address, body(summary)))
        except (BadRequest, TooLarge) as error:
            if summary is None:
                raise
            await self._ask(lambda: self.server.file_stream(address, body(None)))
            self.outcome.quarantined.append(Quarantined("summary", error.message, error.next))
            return None
        return summary

    async def _send_artifacts(self, ledger: Ledger, address: RunAddress, records: list[Any]) -> dict[str, str]:
        sender = ArtifactDelivery(
            address,
            self.server,
            content_places(os.environ, Path.home(), self.run.directory.files),
            self.retrier,
            self.outcome,
            self.options.artifacts,
            ContentSender(self.server, ledger, self._key),
        )
        self.outcome.artifacts_local = len(records)
        return await sender.deliver(records)

    async def _send_alerts(self, ledger: Ledger, address: RunAddress, maker: BatchMaker) -> None:
        """Each alert once: it becomes somebody's mail."""
        for count, alert in enumerate(maker.rows.alerts, start=1):
            if count > ledger.progress(self._key).alerts:
                level = alert.level or "INFO"
                send = partial(self.server.send_alert, address, alert.title, alert.text, level, alert.wait_duration)
                await self._ask(send)
                ledger.record(self._key, {"what": "alerts", "count": count})

    def _set_aside(self, maker: BatchMaker) -> None:
        self.outcome.quarantined += set_aside(maker.rows)
        if maker.reader.tear is not None and not maker.recording:
            self.outcome.notes.append(maker.reader.tear.sentence)

    async def _ask(self, request: Callable[[], Awaitable[Result]]) -> Result:
        return await self.retrier.run(request)
