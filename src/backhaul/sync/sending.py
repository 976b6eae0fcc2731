"""Sending one fragment: what the run is, its lines, its files, its end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backhaul.runs.full_disk import tear_note
from backhaul.runs.stream import NUMBERED, Stream
from backhaul.sync.batch import Batch, BatchMaker, End
from backhaul.sync.checkpoints import Checkpoints
from backhaul.sync.ledger import Ledger
from backhaul.sync.line_sender import LineSender, quarantined, set_aside
from backhaul.sync.passage import Passage
from backhaul.sync.payload_delivery import PayloadDelivery
from backhaul.sync.progress import Progress, Provisional, lines_entry, provisional_entry
from backhaul.sync.server_tail import TailCheck
from backhaul.sync.size_limit import SizeLimit
from backhaul.sync.upserts import upsert_of
from backhaul.sync.verify import Expected
from backhaul.wire.remote import RunAddress, UploadTarget

# How long, in seconds, the last lines wait for the files before they go alone.
_A_MOMENT = 1.0
# What the official client reports for a script that was killed and left no exit record.
_EXIT_CODE_OF_A_KILLED_RUN = 1


@dataclass(slots=True)
class Sending:
    """Sends what `maker` reads of a fragment, whose log has `size` bytes, and the `payloads` that belong to it.

    Every acknowledgement is in the ledger before the next thing happens. What comes back from either way of sending is
    where the run is, and what the destination must then hold.
    """

    passage: Passage
    ledger: Ledger
    maker: BatchMaker
    payloads: PayloadDelivery
    size: int

    async def overtaken(self, progress: Progress, end: Mapping[Stream, int]) -> tuple[RunAddress, Expected]:
        """Send what is only this fragment's, which ends at `end`, before lines of later ones.

        Config, summary and end of the run are the later fragments' by now.
        """
        maker, outcome = self.maker, self.passage.outcome
        address = await self.passage.addressed(progress)
        outcome.is_at(self.passage.destination, address)
        while (batch := await asyncio.to_thread(maker.next)) is not None:
            outcome.local = batch.next
        self.ledger.record(self.passage.key, lines_entry(outcome.local))
        await asyncio.to_thread(self.payloads.prepare, maker.rows, maker.console_text, made_from_log=False)
        files, artifacts = await self.payloads.send(address, maker.rows, None)
        self._tell()
        return address, Expected(end, None, None, "{}", files, artifacts, finished=False, followed=True)

    async def whole(self, limit: SizeLimit, tail: TailCheck, checkpoints: Checkpoints) -> tuple[RunAddress, Expected]:
        """Send the run.

        It is told before its first line and, unless the log was read to its end by then, again at the end. The last
        lines wait a moment for the files, so as to go with the end in one request.
        """
        maker, passage = self.maker, self.passage
        batch, names = await asyncio.to_thread(self._first)
        await tail.of(batch)
        address, targets = await self._open(names)
        sender = LineSender(passage, address, self.ledger, limit, tail, checkpoints)
        last = await sender.send_all_but_the_last(batch, maker)
        if last is not batch:
            address, targets = await self._open(await asyncio.to_thread(self._prepared))
        await self._note_provisional()
        sending = asyncio.create_task(self.payloads.send(address, maker.rows, targets))
        try:
            await asyncio.wait([sending], timeout=_A_MOMENT)
            if not sending.done() or sending.exception() is not None:
                last = await sender.send(last)
            files, artifacts = await sending
        finally:
            sending.cancel()
            await asyncio.wait([sending])
        rows, base = maker.rows, self.ledger.progress(passage.key).base
        end = End(sorted(files), self._exit_code(), rows.preempting, rows.summary_json())
        summary = await sender.send_with_end(last, end)
        passage.outcome.name = rows.identity.display_name or passage.outcome.name
        self._tell()
        return address, Expected(
            {stream: base[stream] + passage.outcome.local.get(stream, 0) for stream in NUMBERED},
            sender.last_row,
            summary,
            rows.config_json(),
            files,
            artifacts,
            finished=end.exit_code is not None,
            # Lines of a later fragment that was sent first may be behind ours; it comes next, and moves them.
            followed=bool(passage.later),
        )

    async def _note_provisional(self) -> None:
        """Keep, before they are acknowledged, which lines a longer copy of a torn log may have otherwise."""
        count, key = self.maker.rows.provisional_lines, self.passage.key
        first = self.passage.outcome.local[Stream.OUTPUT] - count
        provisional = Provisional(first, self.size) if count else None
        if self.ledger.progress(key).provisional != provisional:
            await asyncio.to_thread(self.ledger.record, key, provisional_entry(provisional))

    def _first(self) -> tuple[Batch, list[str]]:
        """The first lines; when they are all, the names of the files too: many a short run needs one thread once."""
        batch = self.maker.next()
        assert batch is not None, "a log has a batch, if an empty one"
        return batch, self._prepared() if batch.is_last else []

    def _prepared(self) -> list[str]:
        """The names of the files that the destination lacks, now that the log is read to its end."""
        maker = self.maker
        return self.payloads.prepare(maker.rows, maker.console_text, made_from_log=not maker.recording)

    async def _open(self, names: Sequence[str]) -> tuple[RunAddress, Sequence[UploadTarget] | None]:
        """Tell the destination of the run as far as it was read, and ask where these files of it are to go."""
        passage = self.passage
        upsert = upsert_of(passage.run.identity, self.maker.rows, passage.destination, passage.address)
        # Should a server fail because of the files, a further try without them tells.
        tries = iter([names])
        address, targets = await passage.retrier.run(lambda: passage.server.open_run(upsert, next(tries, ())))
        passage.address = address
        passage.outcome.is_at(passage.destination, address)
        return address, targets

    def _exit_code(self) -> int | None:
        """What is told as the end of the run; None when it goes on."""
        end = self.maker.rows.exit
        if self.maker.recording or (end is not None and not end.complete):
            return None
        return _EXIT_CODE_OF_A_KILLED_RUN if end is None else end.code

    def _tell(self) -> None:
        """Put into the outcome what reading the log has shown, and what of it is not at the destination."""
        maker, outcome = self.maker, self.passage.outcome
        outcome.damage = maker.reader.damage
        outcome.quarantined += quarantined(self.ledger.progress(self.passage.key)) + set_aside(maker.rows)
        outcome.notes += maker.reader.notes
        if maker.rows.unknown:
            # A newer Backhaul may know what they are.
            outcome.left_out.append(f"records of unknown kinds: {maker.rows.unknown}")
        if maker.reader.tear is not None and not maker.recording:
            outcome.notes.append(tear_note(maker.reader.tear, self.passage.run.directory.log))
