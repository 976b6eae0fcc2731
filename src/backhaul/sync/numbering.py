"""Where a fragment's lines go at a destination: asked of the server and of the fragment itself, kept in the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from backhaul.errors import BadRequest, NotFound, RefusedError, RemoteConflict, UnexpectedAnswer
from backhaul.runs.inspect import Inspection
from backhaul.runs.stream import NUMBERED, Stream
from backhaul.sync.address import address_of
from backhaul.sync.batch import Batch, BatchMaker
from backhaul.sync.checkpoint import Checkpoint
from backhaul.sync.console_tail import LINES_ASKED
from backhaul.sync.console_text import ConsoleText
from backhaul.sync.destination import Destination
from backhaul.sync.first_contact import counts_of, overlaps, settle, still_held
from backhaul.sync.ledger import Ledger
from backhaul.sync.options import SyncOptions
from backhaul.sync.progress import Progress, begin_entry, forgotten_entry, lines_entry, no_lines
from backhaul.sync.retry import Retrier
from backhaul.sync.row import is_newer, is_same, members_of, step_of
from backhaul.sync.server_tail import TailCheck, server_tail
from backhaul.wire.remote import ConsoleTail, RunStatus, RunUpsert
from backhaul.wire.server import Server

# The streams whose lines tell when they were recorded.
_TIMED = (Stream.HISTORY, Stream.EVENTS)
# Little at a time: often the first lines tell.
_BATCH_BYTES = 64 << 10


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
        except (BadRequest, UnexpectedAnswer):
            return await self._status_by_opening(RunUpsert(run_id, project, entity))

    async def _status_by_opening(self, run: RunUpsert) -> RunStatus | None:
        """What a server that cannot be asked lets know when the run is opened: how many rows it has."""
        address = await self.retrier.run(lambda: self.server.upsert_run(run))
        return RunStatus(history_lines=address.history_line_count) if address.history_line_count else None

    async def begin(self, ledger: Ledger, key: str, status: RunStatus | None) -> Progress:
        """Settle the numbering on first contact; later, forget acknowledgements that the server no longer backs.

        With `force` none of them counts: every line is sent again under its number.
        """
        progress = ledger.progress(key)
        if progress.begun and not overlaps(progress, self.after):
            held = no_lines() if self.options.force else still_held(progress, status)
            return progress if held == dict(progress.lines) else ledger.record(key, lines_entry(held))
        features = await self.retrier.run(self.server.features)
        structured = "STRUCTURED_CONSOLE_LOGS" in features
        try:
            return await asyncio.to_thread(self._settle, ledger, key, status, structured, await self._console(status))
        except RemoteConflict:
            known = await self._whole_before_others(status)
            if known is None:
                raise
            return await asyncio.to_thread(ledger.record, key, begin_entry(no_lines(), known, 0, structured))

    async def _console(self, status: RunStatus | None) -> ConsoleTail | None:
        """The end of the console there, where lines of other parts may be before ours; None when nobody tells."""
        goes_on = self.run.identity.resumes or self.after is not None
        if status is None or not status.output_lines or not goes_on or self.options.force:
            return None
        address = await address_of(self.run.identity, self.destination, Progress(), self.server, self.retrier)
        try:
            return await self.retrier.run(lambda: self.server.console_tail(address, LINES_ASKED))
        except RefusedError:
            return None

    def _settle(
        self, ledger: Ledger, key: str, status: RunStatus | None, structured: bool, console: ConsoleTail | None
    ) -> Progress:
        settled = settle(
            status,
            structured=structured,
            resumes=self.run.identity.resumes,
            after=self.after,
            force=self.options.force,
            lines_of=self._own_lines,
            later_lines_of=self._later_lines,
            console=console,
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

    def tail_check(self, status: RunStatus | None, progress: Progress) -> TailCheck:
        """Whether the server's last row is in the way of this fragment's."""
        tail = None if self.options.force or self.later else server_tail(status, progress)
        return TailCheck(tail, partial(self._own_lines, Stream.HISTORY))

    async def overtaken_at(
        self, status: RunStatus | None, progress: Progress, start: Checkpoint | None = None
    ) -> dict[Stream, int] | None:
        """Where the fragment ends, if all its lines are at the destination and newer ones after them.

        Those are the later fragments', or of a part of the run that is not here. Rows after ours that are not newer are
        somebody else's doing, and a difference. The log is read from `start` on.
        """
        held = counts_of(status)
        known = {stream: progress.base[stream] + progress.lines[stream] for stream in _TIMED}
        if status is None or not any(held[stream] > known[stream] for stream in _TIMED):
            return None
        if not self.later and not any(progress.lines[stream] for stream in _TIMED):
            return None
        most = {stream: min(held[stream], known.get(stream, held[stream])) for stream in NUMBERED}
        found = await asyncio.to_thread(self._end_within, most, progress, start)
        if found is None:
            return None
        end, last = found
        return end if self.later or await self._is_in_place(status, last) else None

    def _end_within(
        self, most: Mapping[Stream, int], progress: Progress, start: Checkpoint | None = None
    ) -> tuple[dict[Stream, int], str | None] | None:
        """Where the fragment's lines end, and its last row; None, as soon as it shows, when one goes beyond `most`."""
        end, last = dict(progress.base), None
        for batch in self._batches(self.run, progress.starting_step, start):
            end = {stream: progress.base[stream] + count for stream, count in batch.next.items()}
            if any(end[stream] > count for stream, count in most.items()):
                return None
            last = next(reversed(batch.lines[Stream.HISTORY]), last)
        return end, last

    async def _whole_before_others(self, status: RunStatus | None) -> dict[Stream, int] | None:
        """The lines that are acknowledged if all rows of the log are there from line 0 on, and newer ones after them.

        So it is with a run that was online when its process was killed: the last rows came to the server, and not to
        the disk.
        """
        held = counts_of(status)
        most = {Stream.HISTORY: held[Stream.HISTORY]}
        found = await asyncio.to_thread(self._end_within, most, Progress()) if status is not None else None
        if status is None or found is None:
            return None
        end, last = found
        if not await self._is_in_place(status, last):
            return None
        return {stream: min(end[stream], held[stream]) for stream in _TIMED} | {Stream.OUTPUT: 0}

    async def _is_in_place(self, status: RunStatus, last: str | None) -> bool:
        """Whether the server has our last row at its step, and its own last row is a newer one."""
        if last is None or not status.history_tail or not is_newer(status.history_tail[-1], last):
            return False
        address = await address_of(self.run.identity, self.destination, Progress(), self.server, self.retrier)
        step = step_of(last)
        try:
            rows = await self.retrier.run(lambda: self.server.history_rows(address, step, step + 1, 2))
        except RefusedError:
            # A server that does not answer such questions.
            return False
        return any(is_same(members_of(last), members_of(row)) for row in rows)

    def _own_lines(self, stream: Stream) -> Iterator[str]:
        for batch in self._batches(self.run):
            yield from batch.lines[stream]

    def _later_lines(self, stream: Stream) -> Iterator[str]:
        for run in self.later:
            for batch in self._batches(run):
                yield from batch.lines[stream]

    def _batches(self, run: Inspection, starting_step: int = 0, start: Checkpoint | None = None) -> Iterator[Batch]:
        with ConsoleText() as nowhere:
            maker = BatchMaker(
                run.directory.log, run.identity, False, starting_step, nowhere, _BATCH_BYTES, start=start
            )
            while (batch := maker.next()) is not None:
                yield batch
