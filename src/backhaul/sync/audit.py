"""Asking a destination whether it holds a run, and sending nothing: the same proof as after a sync."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from backhaul.errors import (
    BackhaulError,
    BadRequest,
    NotFound,
    NotProvable,
    PayloadMissing,
    UnexpectedAnswer,
    UnreadableFile,
    VerificationFailed,
)
from backhaul.runs.artifacts import artifact_of
from backhaul.runs.directory import RunDirectory
from backhaul.runs.inspect import Inspection, inspect
from backhaul.runs.payloads import MADE_FROM_LOG, Digest
from backhaul.runs.stream import NUMBERED, Stream
from backhaul.runs.whereabouts import whereabouts_of
from backhaul.sync.at_once import runs_at_once
from backhaul.sync.batch import BatchMaker
from backhaul.sync.companions import companions_of, known_end
from backhaul.sync.console_text import ConsoleText
from backhaul.sync.destination import Destination
from backhaul.sync.digests import Digests
from backhaul.sync.first_contact import counts_of
from backhaul.sync.fragments import Chain, fragments_by_run
from backhaul.sync.ledger import Ledger
from backhaul.sync.line_sender import quarantined, set_aside
from backhaul.sync.log_digest import sha256_of
from backhaul.sync.mishap import mishap_of
from backhaul.sync.numbering import Numbering
from backhaul.sync.options import SyncOptions
from backhaul.sync.outcome import Outcome, Quarantined, RunState
from backhaul.sync.passage import Passage
from backhaul.sync.progress import LogStamp, Progress, no_lines, unproven_entry
from backhaul.sync.proof import prove
from backhaul.sync.reporter import Reporter
from backhaul.sync.retry import Retrier
from backhaul.sync.row_comparison import RowComparison
from backhaul.sync.upload import Uploader
from backhaul.sync.verify import Difference, Expected, Kind
from backhaul.wire.remote import RunAddress, RunStatus
from backhaul.wire.server import Server

_MISSING_NEXT = "Run `backhaul sync` on it; it sends what is missing, and nothing twice."


@dataclass(slots=True)
class Audit:
    """One fragment held against one destination, whoever sent it there.

    With `deep` every history row is read back as well. `end` tells where this fragment ends, once that is known.
    """

    passage: Passage
    deep: bool = False
    end: Mapping[Stream, int] = field(default_factory=no_lines)

    @property
    def outcome(self) -> Outcome:
        """How it went so far."""
        return self.passage.outcome

    async def examine(self) -> None:
        """Compare, and keep receipt, ledger entry and marker when all is equal. Raises VerificationFailed otherwise.

        Then the ledger no longer counts the run as verified, so that a sync asks and sends anew.
        """
        with Ledger.open(self.passage.run.directory.log, self.passage.options.state_folder) as ledger:
            try:
                await self._compare(ledger)
            except (VerificationFailed, NotFound):
                self._take_back_proof(ledger)
                raise
            if self.outcome.state is RunState.QUARANTINED:
                self._take_back_proof(ledger)

    def _take_back_proof(self, ledger: Ledger) -> None:
        # Where more lines are than ours, a later part of the run may have come: a sync would not know better.
        overgrown = any(self.outcome.remote.get(stream, 0) > self.end[stream] for stream in NUMBERED)
        if ledger.progress(self.passage.key).verified is not None and not overgrown:
            ledger.record(self.passage.key, unproven_entry())

    async def _compare(self, ledger: Ledger) -> None:
        passage, numbering = self.passage, Numbering(self.passage)
        log = passage.run.directory.log
        stamp = LogStamp.of(log)
        passage.reporter.started(passage.run)
        status = await self._asked(numbering)
        if status is None or (not ledger.progress(passage.key).begun and not any(counts_of(status).values())):
            self.outcome.differences = [Difference("run", self._where(), "nothing", Kind.LESS)]
            raise VerificationFailed(f"{self._where()} is not at the destination.", next=_MISSING_NEXT)
        progress = await numbering.begin(ledger, status)
        overtaken = await numbering.overtaken_at(status, progress) is not None
        address = await passage.addressed(progress)
        self.outcome.is_at(passage.destination, address)
        with ConsoleText() as console_text:
            expected = await self._expected(progress, address, console_text, overtaken=overtaken)
            digest = await asyncio.to_thread(sha256_of, log, stamp.size)
            await prove(passage, ledger, address, expected, stamp, digest)

    async def _asked(self, numbering: Numbering) -> RunStatus | None:
        """What the destination holds. One that cannot be asked is not told of the run, which would make it there."""
        try:
            return await numbering.asked()
        except (BadRequest, UnexpectedAnswer) as error:
            raise NotProvable(f"Nothing of {self._where()} can be proved at this server: {error.message}") from error

    def _where(self) -> str:
        return "/".join(part for part in (self.outcome.entity, self.outcome.project, self.outcome.run_id) if part)

    async def _expected(
        self, progress: Progress, address: RunAddress, console_text: ConsoleText, *, overtaken: bool
    ) -> Expected:
        run = self.passage.run
        maker = BatchMaker(run.directory.log, run.identity, progress.structured, progress.starting_step, console_text)
        last_line = await self._read(maker, progress, address)
        rows = maker.rows
        self.end = {stream: progress.base[stream] + self.outcome.local.get(stream, 0) for stream in NUMBERED}
        # What is made from the log of a part that goes on has in it what the part before it had set.
        ours = frozenset() if overtaken or self.passage.goes_on else progress.files.keys()
        files = await self._files(maker, ours, console_text)
        artifacts = await self._artifacts(rows.artifacts, progress)
        if overtaken:
            # Config, summary and the end of the run are those of a later fragment by now.
            return Expected(self.end, None, None, "{}", files, artifacts, finished=False, followed=True)
        finished = rows.exit is None or rows.exit.complete
        return Expected(
            self.end, last_line, rows.summary_json(), rows.config_json(), files, artifacts, finished=finished
        )

    async def _read(self, maker: BatchMaker, progress: Progress, address: RunAddress) -> str | None:
        """Read the log to its end; with `deep` hold each row against the server's. Returns the last history line."""
        comparison = RowComparison(self.passage.server, address, self.passage.retrier) if self.deep else None
        last_line: str | None = None
        while (batch := await asyncio.to_thread(maker.next)) is not None:
            self.outcome.local = batch.next
            lines = batch.lines[Stream.HISTORY]
            last_line = lines[-1] if lines else last_line
            if comparison is not None:
                refused = {number for stream, number in progress.refused if stream is Stream.HISTORY}
                first = batch.first[Stream.HISTORY]
                await comparison.take([line for number, line in enumerate(lines, first) if number not in refused])
        self.outcome.damage = maker.reader.damage
        self.outcome.quarantined += [*quarantined(progress), *set_aside(maker.rows)]
        if comparison is not None and comparison.differences:
            self.outcome.differences += comparison.differences
            told = "; ".join(map(str, comparison.differences))
            raise VerificationFailed(f"{address} was read back row by row and differs from the log: {told}.")
        return last_line

    async def _files(self, maker: BatchMaker, ours: AbstractSet[str], console_text: ConsoleText) -> dict[str, Digest]:
        """What is saved on disk, and `ours` of what is made from the log: others make the same with other bytes."""
        uploader = Uploader(self.passage, Digests())
        found = await uploader.digested(maker.rows, console_text)
        self.outcome.files_local = len(found)
        return {name: digest for name, digest in found.items() if name not in MADE_FROM_LOG or name in ours}

    async def _artifacts(self, records: Sequence[Any], progress: Progress) -> dict[str, str]:
        """Server id → digest of each artifact that the log logs; one that the server does not know is quarantined."""
        self.outcome.artifacts_local = len(records)
        there: dict[str, str] = {}
        for number, record in enumerate(records):
            known = progress.artifacts.get(str(number)) or await self._sent_by_others(record)
            if known is not None:
                there[known[0]] = known[1]
        return there

    async def _sent_by_others(self, record: Any) -> tuple[str, str] | None:
        passage = self.passage
        server_id = await passage.retrier.run(lambda: passage.server.artifacts.server_id(record.client_id))
        if server_id is None:
            reason = "The server does not know it."
            self.outcome.differences.append(Difference(f"artifact {record.name}", "COMMITTED", "nothing", Kind.LESS))
            self.outcome.quarantined.append(Quarantined(f"artifact {record.name}", reason, _MISSING_NEXT))
            return None
        try:
            artifact = await asyncio.to_thread(
                artifact_of, record, whereabouts_of(passage.run.directory.files, passage.options.roots)
            )
        except (PayloadMissing, UnreadableFile) as error:
            self.outcome.quarantined.append(Quarantined(f"artifact {record.name}", error.message, error.next))
            return None
        return server_id, artifact.provable_digest


async def audit_runs(
    directories: Iterable[RunDirectory],
    *,
    server: Server,
    destination: Destination,
    options: SyncOptions,
    reporter: Reporter | None = None,
    deep: bool = False,
) -> list[Outcome]:
    """Hold every run against the destination; one outcome per directory, in their order. Nothing is sent."""
    listed = list(directories)
    reporter = reporter or Reporter()
    outcomes: dict[Path, Outcome] = {}
    inspected: list[Inspection] = []
    for directory in listed:
        outcome = outcomes[directory.log] = Outcome(directory.path, directory.run_id_hint)
        try:
            inspected.append(await asyncio.to_thread(inspect, directory))
        except BackhaulError as error:
            outcome.fail(error)
    others = await asyncio.to_thread(companions_of, inspected, destination, options.state_folder)
    slots = asyncio.Semaphore(runs_at_once(options.jobs))

    async def examine_all(chain: Chain) -> None:
        for index, run in enumerate(chain.fragments):
            after, later = chain.begin_of(index), chain.after(index)
            if run in others:
                chain.ended(known_end(run, destination, options.state_folder))
                continue
            retrier = Retrier(options.patience, None, on_wait=partial(reporter.waiting, run))
            audit = Audit(Passage(run, destination, server, options, reporter, retrier, after, later), deep)
            outcomes[run.directory.log] = audit.outcome
            async with slots:
                failure = await mishap_of(audit.examine())
            if failure is not None:
                audit.outcome.fail(failure)
            reporter.finished(run, audit.outcome)
            chain.ended(audit.end)

    groups = fragments_by_run([*inspected, *others], destination)
    await asyncio.gather(*(examine_all(chain) for chain in groups))
    return list(outcomes.values())
