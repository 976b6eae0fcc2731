"""Where a fragment's lines go at a destination: asked of the server and of the fragment itself, kept in the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from backhaul.errors import BackhaulError, BadRequest, NotFound, RemoteConflict, UnexpectedAnswer
from backhaul.runs.inspect import Inspection
from backhaul.runs.stream import NUMBERED, Stream
from backhaul.sync.batch import Batch, BatchMaker
from backhaul.sync.checkpoint import Checkpoint
from backhaul.sync.console_tail import LINES_ASKED
from backhaul.sync.console_text import ConsoleText
from backhaul.sync.failures import Answer, answer_or_failure
from backhaul.sync.first_contact import counts_of, overlaps, settle, still_held
from backhaul.sync.ledger import Ledger
from backhaul.sync.passage import Passage
from backhaul.sync.progress import Progress, begin_entry, forgotten_entry, lines_entry, no_lines
from backhaul.sync.row import is_newer, is_same, members_of, step_of
from backhaul.sync.server_tail import TailCheck, server_tail
from backhaul.wire.remote import ConsoleTail, RunStatus, RunUpsert

# The streams whose lines tell when they were recorded.
_TIMED = (Stream.HISTORY, Stream.EVENTS)
# Little at a time: often the first lines tell.
_BATCH_BYTES = 64 << 10


@dataclass(slots=True)
class Numbering:
    """Settles the numbers of one fragment's lines."""

    passage: Passage

    async def status(self) -> RunStatus | None:
        """What the destination holds of the run; None when it has none. A server that cannot be asked is told of it."""
        try:
            return await self.asked()
        except (BadRequest, UnexpectedAnswer):
            return await self._status_by_opening()

    async def asked(self) -> RunStatus | None:
        """What the destination says that it holds of the run, which changes nothing there; None when it has none.

        Raises BadRequest or UnexpectedAnswer when it cannot be asked.
        """
        entity, project, run_id = self._name()
        try:
            return await self.passage.retrier.run(lambda: self.passage.server.run_status(entity, project, run_id))
        except NotFound:
            # Some servers refuse the question about a project that does not exist yet; creating the run makes it.
            return None

    def _name(self) -> tuple[str | None, str, str]:
        identity, to = self.passage.run.identity, self.passage.destination
        return to.entity_of(identity), to.project_of(identity), to.run_id_of(identity)

    async def _status_by_opening(self) -> RunStatus | None:
        """What a server that cannot be asked lets know when the run is opened: how many rows it has."""
        entity, project, run_id = self._name()
        run = RunUpsert(run_id, project, entity)
        address = await self.passage.retrier.run(lambda: self.passage.server.upsert_run(run))
        return RunStatus(history_lines=address.history_line_count) if address.history_line_count else None

    async def begin(self, ledger: Ledger, status: RunStatus | None) -> Progress:
        """Settle the numbering on first contact; later, forget acknowledgements that the server no longer backs.

        With `force` none of them counts: every line is sent again under its number.
        """
        key = self.passage.key
        progress = ledger.progress(key)
        if progress.begun and not overlaps(progress, self.passage.after):
            held = no_lines() if self.passage.options.force else still_held(progress, status)
            return progress if held == dict(progress.lines) else ledger.record(key, lines_entry(held))
        features = await self._optional(self.passage.server.features) or frozenset()
        structured = "STRUCTURED_CONSOLE_LOGS" in features
        try:
            return await asyncio.to_thread(self._settle, ledger, status, structured, await self._console(status))
        except RemoteConflict:
            known = await self._whole_before_others(status)
            if known is None:
                raise
            return await asyncio.to_thread(ledger.record, key, begin_entry(no_lines(), known, 0, structured))

    async def _console(self, status: RunStatus | None) -> ConsoleTail | None:
        """The end of the console there, where lines of other parts may be before ours; None when nobody tells."""
        is_asked = self.passage.goes_on and not self.passage.options.force
        if status is None or not status.output_lines or not is_asked:
            return None
        address = await self.passage.addressed(Progress())
        return await self._optional(lambda: self.passage.server.console_tail(address, LINES_ASKED))

    def _settle(
        self, ledger: Ledger, status: RunStatus | None, structured: bool, console: ConsoleTail | None
    ) -> Progress:
        settled = settle(
            status,
            structured=structured,
            resumes=self.passage.run.identity.resumes,
            after=self.passage.after,
            force=self.passage.options.force,
            lines_of=self._own_lines,
            later_lines_of=self._later_lines,
            console=console,
        )
        if settled.displaces:
            self._forget_later_numbers()
        return ledger.record(self.passage.key, settled.entry)

    def _forget_later_numbers(self) -> None:
        """Before the first line goes where a later fragment's are: that fragment may not count on them any more."""
        for run in self.passage.later:
            with Ledger.open(run.directory.log, self.passage.options.state_folder) as ledger:
                if ledger.progress(self.passage.key).begun:
                    ledger.record(self.passage.key, forgotten_entry())

    def tail_check(self, status: RunStatus | None, progress: Progress) -> TailCheck:
        """Whether the server's last row is in the way of this fragment's."""
        tail = None if self.passage.options.force or self.passage.later else server_tail(status, progress)
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
        if not self.passage.later and not any(progress.lines[stream] for stream in _TIMED):
            return None
        most = {stream: min(held[stream], known.get(stream, held[stream])) for stream in NUMBERED}
        found = await asyncio.to_thread(self._end_within, most, progress, start)
        if found is None:
            return None
        end, last = found
        return end if self.passage.later or await self._is_in_place(status, last) else None

    def _end_within(
        self, most: Mapping[Stream, int], progress: Progress, start: Checkpoint | None = None
    ) -> tuple[dict[Stream, int], str | None] | None:
        """Where the fragment's lines end, and its last row; None, as soon as it shows, when one goes beyond `most`."""
        end, last = dict(progress.base), None
        for batch in self._batches(self.passage.run, progress.starting_step, start):
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
        address = await self.passage.addressed(Progress())
        step = step_of(last)
        rows = await self._optional(lambda: self.passage.server.history_rows(address, step, step + 1, 2)) or []
        return any(is_same(members_of(last), members_of(row)) for row in rows)

    async def _optional(self, question: Callable[[], Awaitable[Answer]]) -> Answer | None:
        """The answer; None of a server that does not answer such questions, though it says what it holds."""
        answer = await answer_or_failure(self.passage.retrier, question, self.asked)
        return None if isinstance(answer, BackhaulError) else answer

    def _own_lines(self, stream: Stream) -> Iterator[str]:
        for batch in self._batches(self.passage.run):
            yield from batch.lines[stream]

    def _later_lines(self, stream: Stream) -> Iterator[str]:
        for run in self.passage.later:
            for batch in self._batches(run):
                yield from batch.lines[stream]

    def _batches(self, run: Inspection, starting_step: int = 0, start: Checkpoint | None = None) -> Iterator[Batch]:
        with ConsoleText() as nowhere:
            maker = BatchMaker(
                run.directory.log, run.identity, False, starting_step, nowhere, _BATCH_BYTES, start=start
            )
            while (batch := maker.next()) is not None:
                yield batch
