"""Where a fragment's lines go at a destination: asked of the server and of the fragment itself, kept in the ledger."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from backhaul.errors import NotFound
from backhaul.runs.inspect import Inspection
from backhaul.runs.rows import NUMBERED, Stream
from backhaul.sync.batch import BatchMaker
from backhaul.sync.destination import Destination
from backhaul.sync.first_contact import counts_of, overlaps, settle, still_held
from backhaul.sync.ledger import Ledger
from backhaul.sync.options import SyncOptions
from backhaul.sync.progress import Progress, forgotten_entry, lines_entry
from backhaul.sync.retry import Retrier
from backhaul.wire.remote import RunStatus
from backhaul.wire.server import Server


@dataclass(slots=True)
class Numbering:
    """Settles the numbers of one fragment's lines.

    `after` is where the fragment of the same run before it ends at the destination, `later` are the fragments after it.
    """

    run: Inspection
    destination: Destination
    server: Server
    options: SyncOptions
    retrier: Retrier
    after: Mapping[Stream, int] | None
    later: Sequence[Inspection]

    async def status(self) -> RunStatus | None:
        """What the destination holds of the run; None when it has none."""
        identity, to = self.run.identity, self.destination
        entity, project, run_id = to.entity_of(identity), to.project_of(identity), to.run_id_of(identity)
        try:
            return await self.retrier.run(lambda: self.server.run_status(entity, project, run_id))
        except NotFound:
            # Some servers refuse the question about a project that does not exist yet; creating the run makes it.
            return None

    async def begin(self, ledger: Ledger, key: str, status: RunStatus | None) -> Progress:
        """Settle the numbering on first contact; later, forget acknowledgements that the server no longer backs."""
        progress = ledger.progress(key)
        if progress.begun and not overlaps(progress, self.after):
            held = still_held(progress, status)
            return progress if held == dict(progress.lines) else ledger.record(key, lines_entry(held))
        features = await self.retrier.run(self.server.features)
        return await asyncio.to_thread(self._settle, ledger, key, status, "STRUCTURED_CONSOLE_LOGS" in features)

    def _settle(self, ledger: Ledger, key: str, status: RunStatus | None, structured: bool) -> Progress:
        settled = settle(
            status,
            structured=structured,
            resumes=self.run.identity.resumes,
            after=self.after,
            force=self.options.force,
            lines_of=self._own_lines,
            later_lines_of=self._later_lines,
        )
        if settled.displaces:
            self._forget_later_numbers(key)
        return ledger.record(key, settled.entry)

    def _forget_later_numbers(self, key: str) -> None:
        """Before the first line goes where a later fragment's are: that fragment may not count on them any more."""
        for run in self.later:
            with Ledger.open(run.directory.log, self.options.state_folder) as ledger:
                if ledger.progress(key).begun:
                    ledger.record(key, forgotten_entry())

    def overtaken_at(self, status: RunStatus | None, progress: Progress) -> dict[Stream, int] | None:
        """Where the fragment ends, if all its lines are at the destination and lines of later fragments after them."""
        held = counts_of(status)
        timed = (Stream.HISTORY, Stream.EVENTS)
        if not self.later or not any(held[stream] > progress.base[stream] for stream in timed):
            return None
        end = {stream: progress.base[stream] + sum(1 for _ in self._own_lines(stream)) for stream in NUMBERED}
        whole = all(held[stream] >= end[stream] for stream in NUMBERED) and all(
            progress.base[stream] + progress.lines[stream] >= end[stream] for stream in timed
        )
        return end if whole and any(held[stream] > end[stream] for stream in timed) else None

    def _own_lines(self, stream: Stream) -> Iterator[str]:
        return self._lines_in(self.run, stream)

    def _later_lines(self, stream: Stream) -> Iterator[str]:
        for run in self.later:
            yield from self._lines_in(run, stream)

    def _lines_in(self, run: Inspection, stream: Stream) -> Iterator[str]:
        with tempfile.TemporaryFile() as nowhere:
            maker = BatchMaker(run.directory.log, run.identity, False, 0, nowhere, self.options.batch_bytes)
            while (batch := maker.next()) is not None:
                yield from batch.lines[stream]
