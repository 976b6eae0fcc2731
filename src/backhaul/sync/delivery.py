"""Bringing one fragment home: its lines, its files, its end; then reading back, receipt and marker."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar

from backhaul.errors import NotFound, StillRecording
from backhaul.runs.artifacts import content_places
from backhaul.runs.inspect import Inspection
from backhaul.runs.rows import NUMBERED, Stream
from backhaul.runs.writer_alive import is_open_for_writing
from backhaul.sync.artifact_delivery import ArtifactDelivery
from backhaul.sync.batch import Batch, BatchMaker, end_body
from backhaul.sync.destination import Destination
from backhaul.sync.first_contact import counts_of, settle, still_held
from backhaul.sync.ledger import Ledger
from backhaul.sync.options import SyncOptions
from backhaul.sync.outcome import Outcome, Quarantined, RunState
from backhaul.sync.progress import LogStamp, Progress, lines_entry, no_lines
from backhaul.sync.proof import Proof
from backhaul.sync.reporter import Reporter
from backhaul.sync.retry import Retrier
from backhaul.sync.upload import Uploader
from backhaul.sync.upserts import first_upsert, last_upsert
from backhaul.sync.verify import Expected
from backhaul.wandblog import LogEnd
from backhaul.wire.remote import RunAddress, RunStatus
from backhaul.wire.server import Server

Result = TypeVar("Result")

# What the official client reports for a script that was killed and left no exit record.
_EXIT_CODE_OF_A_KILLED_RUN = 1


@dataclass(slots=True)
class Delivery:
    """One fragment on its way to one destination.

    `after` is where the fragment of the same run before it ends at the destination, `later` are the fragments after it.
    Every method that talks to the server goes through the retrier; every acknowledgement is in the ledger before the
    next thing happens. `end` tells where this fragment ends, once it is delivered.
    """

    run: Inspection
    destination: Destination
    server: Server
    options: SyncOptions
    reporter: Reporter
    retrier: Retrier
    after: Mapping[Stream, int] | None = None
    later: Sequence[Inspection] = ()
    outcome: Outcome = field(init=False)
    end: Mapping[Stream, int] = field(default_factory=no_lines)
    _key: str = field(init=False)

    def __post_init__(self) -> None:
        identity, to = self.run.identity, self.destination
        self._key = to.key(identity)
        self.outcome = Outcome(self.run.directory.path, to.run_id_of(identity), identity.display_name)
        self.outcome.entity, self.outcome.project = to.entity_of(identity), to.project_of(identity)

    async def deliver(self) -> Outcome:
        """Send what the destination lacks, read it back, write the receipt. Raises what ends it early."""
        log = self.run.directory.log
        with ExitStack() as stack:
            ledger = stack.enter_context(Ledger.open(log, self.options.state_folder))
            stamp = LogStamp.of(log)
            progress = ledger.progress(self._key)
            if progress.verified == stamp and not self.options.force:
                return self._known_as_verified(progress)
            self.reporter.started(self.run)
            self.outcome.state = RunState.SENDING
            console_text = stack.enter_context(tempfile.NamedTemporaryFile(prefix="backhaul-console-"))
            await self._send(ledger, stamp, console_text)
        return self.outcome

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

    async def _send(self, ledger: Ledger, stamp: LogStamp, console_text: IO[bytes]) -> None:
        recording = self.run.end is not LogEnd.COMPLETE and is_open_for_writing(self.run.directory.log)
        digest = asyncio.create_task(asyncio.to_thread(_sha256, self.run.directory.log, stamp.size))
        try:
            status = await self._status()
            progress = await self._begin(ledger, status)
            if await asyncio.to_thread(self._is_overtaken, status, progress):
                await self._send_overtaken(ledger, progress, console_text, stamp, await digest)
                return
            address = await self._ask(lambda: self.server.upsert_run(first_upsert(self.run.identity, self.destination)))
            self.outcome.entity, self.outcome.project = address.entity, address.project
            maker = self._maker(progress, console_text, recording=recording)
            last_line = await self._send_lines(ledger, address, maker)
            expected = await self._send_rest(ledger, address, maker, console_text, last_line, recording)
            self.outcome.state = RunState.SENT
            if recording:
                raise StillRecording(f"{self.run.directory.log} is still being written; what is whole was sent.")
            await self._proof().give(ledger, self._key, address, expected, stamp, await digest)
        finally:
            digest.cancel()

    def _is_overtaken(self, status: RunStatus | None, progress: Progress) -> bool:
        """Whether all our lines are at the destination, and lines of the later fragments after them."""
        held = counts_of(status)
        timed = (Stream.HISTORY, Stream.EVENTS)
        if not self.later or not any(held[stream] > progress.base[stream] for stream in timed):
            return False
        own = {stream: sum(1 for _ in self._lines_of(stream)) for stream in NUMBERED}
        self.end = {stream: progress.base[stream] + own[stream] for stream in NUMBERED}
        return all(held[stream] >= self.end[stream] for stream in NUMBERED) and any(
            held[stream] > self.end[stream] for stream in timed
        )

    async def _send_overtaken(
        self, ledger: Ledger, progress: Progress, console_text: IO[bytes], stamp: LogStamp, digest: str
    ) -> None:
        """Deliver what is only this fragment's: config, summary and end of the run are the later fragments' by now."""
        identity, to = self.run.identity, self.destination
        entity = progress.entity or to.entity_of(identity) or await self._own_entity()
        address = RunAddress(entity, progress.project or to.project_of(identity), to.run_id_of(identity))
        self.outcome.entity, self.outcome.project = address.entity, address.project
        maker = self._maker(progress, console_text)
        while (batch := await asyncio.to_thread(maker.next)) is not None:
            self.outcome.local = batch.next
        self.outcome.damage = maker.reader.damage
        ledger.record(self._key, lines_entry(self.outcome.local))
        files = await self._uploader(address).upload(maker.rows, console_text, ledger, self._key, made_from_log=False)
        artifacts = await self._send_artifacts(ledger, address, maker.rows.artifacts)
        await self._send_alerts(ledger, address, maker)
        self._set_aside(maker)
        expected = Expected(self.end, None, None, "{}", files, artifacts, finished=False, overtaken=True)
        await self._proof().give(ledger, self._key, address, expected, stamp, digest)

    async def _own_entity(self) -> str:
        viewer = await self._ask(self.server.viewer)
        return viewer.entity if viewer is not None else ""

    def _proof(self) -> Proof:
        return Proof(self.run, self.destination, self.server, self.options, self.reporter, self.retrier, self.outcome)

    def _uploader(self, address: RunAddress) -> Uploader:
        return Uploader(self.run, address, self.server, self.options, self.reporter, self.retrier, self.outcome)

    async def _status(self) -> RunStatus | None:
        identity, to = self.run.identity, self.destination
        entity, project, run_id = to.entity_of(identity), to.project_of(identity), to.run_id_of(identity)
        try:
            return await self._ask(lambda: self.server.run_status(entity, project, run_id))
        except NotFound:
            # Some servers refuse the question about a project that does not exist yet; creating the run makes it.
            return None

    async def _begin(self, ledger: Ledger, status: RunStatus | None) -> Progress:
        """Settle the numbering on first contact; later, forget acknowledgements that the server no longer backs."""
        progress = ledger.progress(self._key)
        if progress.begun:
            held = still_held(progress, status)
            if held != dict(progress.lines):
                progress = ledger.record(self._key, lines_entry(held))
            return progress
        features = await self._ask(self.server.features)
        structured = "STRUCTURED_CONSOLE_LOGS" in features
        entry = await asyncio.to_thread(
            settle,
            status,
            structured=structured,
            resumes=self.run.identity.resumes,
            after=self.after,
            force=self.options.force,
            lines_of=self._lines_of,
            later_lines_of=self._later_lines_of,
        )
        return ledger.record(self._key, entry)

    def _lines_of(self, stream: Stream) -> Iterator[str]:
        return self._lines_in(self.run, stream)

    def _later_lines_of(self, stream: Stream) -> Iterator[str]:
        for run in self.later:
            yield from self._lines_in(run, stream)

    def _lines_in(self, run: Inspection, stream: Stream) -> Iterator[str]:
        with tempfile.TemporaryFile() as nowhere:
            maker = BatchMaker(run.directory.log, run.identity, False, 0, nowhere, self.options.batch_bytes)
            while (batch := maker.next()) is not None:
                yield from batch.lines[stream]

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

    async def _send_lines(self, ledger: Ledger, address: RunAddress, maker: BatchMaker) -> str | None:
        """Send all lines, making the next batch while one is on its way. Returns the last history line."""
        progress = ledger.progress(self._key)
        last_line: str | None = None
        coming = asyncio.create_task(asyncio.to_thread(maker.next))
        try:
            while (batch := await coming) is not None:
                coming = asyncio.create_task(asyncio.to_thread(maker.next))
                if batch.lines[Stream.HISTORY]:
                    last_line = batch.lines[Stream.HISTORY][-1]
                self.outcome.local = batch.next
                progress = await self._send_batch(ledger, address, batch, progress)
        finally:
            if not coming.done():
                await asyncio.wait([coming])
        self.outcome.damage = maker.reader.damage
        return last_line

    async def _send_batch(self, ledger: Ledger, address: RunAddress, batch: Batch, progress: Progress) -> Progress:
        batch = batch.without(progress.lines)
        if not batch.count:
            return progress
        body = await asyncio.to_thread(batch.body, progress.base)
        await self._ask(lambda: self.server.file_stream(address, body))
        acknowledged = {stream: max(progress.lines[stream], batch.next[stream]) for stream in NUMBERED}
        progress = await asyncio.to_thread(ledger.record, self._key, lines_entry(acknowledged))
        self.outcome.sent_lines += batch.count
        self.outcome.sent_bytes += len(body)
        self.reporter.sent(self.run, batch.count, len(body), batch.position)
        return progress

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
        files = await self._uploader(address).upload(rows, console_text, ledger, self._key)
        artifacts = await self._send_artifacts(ledger, address, rows.artifacts)
        await self._send_alerts(ledger, address, maker)
        exit_code = None if recording else rows.exit.code if rows.exit else _EXIT_CODE_OF_A_KILLED_RUN
        if rows.exit is not None and not rows.exit.complete:
            exit_code = None
        body = end_body(summary, sorted(files), exit_code, preempting=rows.preempting)
        await self._ask(lambda: self.server.file_stream(address, body))
        ledger.record(self._key, {"what": "completed", "completed": exit_code is not None})
        self._set_aside(maker)
        self.end = {stream: progress.base[stream] + self.outcome.local.get(stream, 0) for stream in NUMBERED}
        return Expected(self.end, last_line, summary, config, files, artifacts, finished=exit_code is not None)

    async def _send_artifacts(self, ledger: Ledger, address: RunAddress, records: list[Any]) -> dict[str, str]:
        sender = ArtifactDelivery(
            address,
            self.server,
            content_places(os.environ, Path.home(), self.run.directory.files),
            self.retrier,
            self.outcome,
        )
        self.outcome.artifacts_local = len(records)
        return await sender.deliver(records, ledger, self._key)

    async def _send_alerts(self, ledger: Ledger, address: RunAddress, maker: BatchMaker) -> None:
        """Each alert once: it becomes somebody's mail."""
        for count, alert in enumerate(maker.rows.alerts, start=1):
            if count > ledger.progress(self._key).alerts:
                level = alert.level or "INFO"
                send = partial(self.server.send_alert, address, alert.title, alert.text, level, alert.wait_duration)
                await self._ask(send)
                ledger.record(self._key, {"what": "alerts", "count": count})

    def _set_aside(self, maker: BatchMaker) -> None:
        nothing_lost = "The log still has it; nothing is lost. Export it from there if you need it."
        self.outcome.quarantined += [Quarantined(item.what, item.reason, nothing_lost) for item in maker.rows.set_aside]
        if maker.reader.tear is not None and not maker.recording:
            self.outcome.notes.append(maker.reader.tear.sentence)

    async def _ask(self, request: Callable[[], Awaitable[Result]]) -> Result:
        return await self.retrier.run(request)


def _sha256(log: Path, size: int) -> str:
    """SHA-256 of the first `size` bytes: of what was there when the sync began."""
    digest = hashlib.sha256()
    with log.open("rb") as file:
        while size and (block := file.read(min(size, 1 << 20))):
            digest.update(block)
            size -= len(block)
    return digest.hexdigest()
