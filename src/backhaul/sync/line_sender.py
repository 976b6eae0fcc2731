"""A fragment's lines on their way; one that the server refuses is found, set aside with its reason, and replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from backhaul.errors import BackhaulError, BadRequest, ServerUnavailable, TooLarge
from backhaul.runs.rows import Rows
from backhaul.runs.stream import NUMBERED, Stream
from backhaul.sync.batch import Batch, BatchMaker, End
from backhaul.sync.checkpoints import Checkpoints
from backhaul.sync.failures import Failures, is_failure
from backhaul.sync.ledger import Ledger
from backhaul.sync.outcome import Quarantined
from backhaul.sync.passage import Passage
from backhaul.sync.progress import Progress, Refusal, completed_entry, lines_entry, no_lines, refused_entry, taken_entry
from backhaul.sync.server_tail import TailCheck
from backhaul.sync.size_limit import SizeLimit
from backhaul.sync.stand_in import name_of, stand_in
from backhaul.wire.remote import RunAddress

MOST_REFUSED = 100
_CONTENT_REFUSED = (BadRequest, TooLarge)
# A server that fails so often at one request may fail because of what is in it; one that is away says so otherwise.
_SUSPECT_AFTER = 6
# How often a part of such a request is tried, and what stands in its place.
_TRIES_OF_A_PART = 2
_NEXT = (
    "The log still has it, and a row with its step and time keeps its place. "
    "Run the same command again when the server takes it; it is then tried once more."
)


@dataclass(slots=True)
class LineSender:
    """Sends the lines of one fragment, each under its one number, and keeps in the ledger what was acknowledged.

    A batch that the server refuses for its content or size is halved until what it takes has arrived. A single line
    that is refused gives way to a stand-in. When that is refused too, the content is not to blame, and the server's
    refusal is raised; so it is when more than `MOST_REFUSED` lines were refused.

    A batch at which the server fails again and again (5xx) is halved as well. A line at which it still fails gives way
    only if the server takes the stand-in and then fails at the line once more; if not, the server is in trouble, and
    the line is sent for as long as the retrier has patience.

    Where `tail` says that the server's last row is somebody else's, RemoteConflict is raised before it is written over.
    `last_row` is the last line of history that was seen.
    """

    passage: Passage
    address: RunAddress
    ledger: Ledger
    limit: SizeLimit
    tail: TailCheck
    checkpoints: Checkpoints
    last_row: str | None = None

    async def send_all_but_the_last(self, batch: Batch, maker: BatchMaker) -> Batch:
        """Send `batch` and what comes after it, making the next batch while one is on its way; returns the last one."""
        self._seen(batch)
        while not batch.is_last:
            coming = asyncio.create_task(asyncio.to_thread(maker.next))
            try:
                await self.send(batch)
            finally:
                if not coming.done():
                    await asyncio.wait([coming])
            following = await coming
            assert following is not None, "the batch before it was not the last one"
            batch = following
            self._seen(batch)
        return batch

    def _seen(self, batch: Batch) -> None:
        self.passage.outcome.local = batch.next
        self.last_row = next(reversed(batch.lines[Stream.HISTORY]), self.last_row)

    async def send(self, batch: Batch) -> Batch:
        """Send what the destination lacks of these lines; returns what is left, which is nothing."""
        await self.tail.of(batch)
        await self._send_again(batch)
        await self._write_checkpoint(batch)
        await self._send(batch.without(self._progress.lines))
        return batch.without(batch.next)

    async def send_with_end(self, batch: Batch, end: End) -> str | None:
        """Send the last lines and the end in one request, or one after the other if that is refused.

        A summary that is refused does not keep the end back. Returns the summary that is there.
        """
        await self.tail.of(batch)
        await self._send_again(batch)
        await self._write_checkpoint(batch)
        lacking = batch.without(self._progress.lines)
        body = await _made(lacking, lambda: end.body(lacking.files(self._progress.base)))
        if self.limit.allows(len(body)) and await self._refusal_of(lacking, body) is None:
            await self._acknowledged(lacking, completed_entry(end.exit_code is not None))
            return end.summary
        # Which part of it is refused, if any is, shows when they go one by one.
        await self._send(lacking)
        return await self._send_end(end)

    async def _write_checkpoint(self, batch: Batch) -> None:
        """Before the lines are sent, so that nothing but a name has to be given once they are acknowledged."""
        if self.checkpoints.is_news(batch.checkpoint):
            await asyncio.to_thread(self.checkpoints.write, batch.checkpoint)

    async def _send_end(self, end: End) -> str | None:
        nothing = _no_lines()
        refused = await self._refusal_of(nothing, end.body({}))
        if refused is not None:
            bare = replace(end, summary=None)
            if end.summary is not None and await self._refusal_of(nothing, bare.body({}), _TRIES_OF_A_PART) is None:
                self.passage.outcome.quarantined.append(Quarantined("summary", refused.message, refused.next))
                end = bare
            elif isinstance(refused, ServerUnavailable):
                await self._post(nothing, end.body({}))
            else:
                raise refused
        await asyncio.to_thread(self.ledger.record, self.passage.key, completed_entry(end.exit_code is not None))
        return end.summary

    @property
    def _progress(self) -> Progress:
        return self.ledger.progress(self.passage.key)

    async def _send_again(self, batch: Batch) -> None:
        """Try once more what an earlier sync had to replace; the server may have learned to take it."""
        for stream, number in list(self._progress.refused):
            line = batch.line(stream, number)
            if line is not None:
                await self._try_again(line, stream, number)

    async def _try_again(self, line: Batch, stream: Stream, number: int) -> None:
        body = line.body(self._progress.base)
        if await self._refusal_of(line, body, _TRIES_OF_A_PART) is None:
            await asyncio.to_thread(self.ledger.record, self.passage.key, taken_entry(stream, number))

    async def _send(self, batch: Batch, tries: int = _SUSPECT_AFTER) -> None:
        if not batch.count:
            return None
        body = await _made(batch, lambda: batch.body(self._progress.base))
        refused: BackhaulError | None = None
        if batch.count == 1 or self.limit.allows(len(body)):
            refused = await self._refusal_of(batch, body, tries)
            if refused is None:
                return await self._acknowledged(batch)
        if batch.count == 1 and refused is not None:
            return await self._replace(batch, refused)
        for half in batch.halves():
            await self._send(half, _TRIES_OF_A_PART if isinstance(refused, ServerUnavailable) else tries)
        return None

    async def _replace(self, batch: Batch, refused: BackhaulError) -> None:
        """Put a stand-in in the place of the only line; raises `refused` when that does not help."""
        ((stream, number, line),) = batch.numbered()
        if len(self._progress.refused) >= MOST_REFUSED:
            raise type(refused)(f"More than {MOST_REFUSED} lines of this run were refused; the last one: {refused}")
        other = batch.replaced(stand_in(stream, line))
        if await self._refusal_of(other, other.body(self._progress.base), _TRIES_OF_A_PART) is not None:
            if not isinstance(refused, ServerUnavailable):
                raise refused
            # It fails at everything: no line is to blame, so this one is sent for as long as there is patience.
            await self._post(batch, batch.body(self._progress.base))
            return await self._acknowledged(batch)
        refusal = Refusal(name_of(stream, number, line), refused.message)
        await self._acknowledged(batch, refused_entry(stream, number, refusal))
        if isinstance(refused, ServerUnavailable):
            # Perhaps the server has recovered just then.
            await self._try_again(batch, stream, number)
        return None

    async def _refusal_of(self, batch: Batch, body: bytes, tries: int = _SUSPECT_AFTER) -> BackhaulError | None:
        """Send; why the content is refused, or may be the cause of `tries` failures of the server, if it is so."""
        try:
            await self._post(batch, body, Failures(tries).are_enough)
        except BackhaulError as error:
            if not isinstance(error, _CONTENT_REFUSED) and not is_failure(error):
                raise
            if isinstance(error, TooLarge):
                self.limit.learn(len(body))
            return error
        return None

    async def _post(self, batch: Batch, body: bytes, enough: Callable[[BackhaulError], bool] = lambda _: False) -> None:
        passage, outcome = self.passage, self.passage.outcome
        await passage.retrier.run(lambda: passage.server.file_stream(self.address, body), enough)
        outcome.sent_lines += batch.count
        outcome.sent_bytes += len(body)
        passage.reporter.sent(passage.run, batch.count, len(body), batch.position)

    async def _acknowledged(self, batch: Batch, *more: dict[str, object]) -> None:
        lines = {stream: max(self._progress.lines[stream], batch.next[stream]) for stream in NUMBERED}
        # What is to be known of these lines comes first: cut by a power failure, they must not count without it.
        await asyncio.to_thread(self._record, *more, lines_entry(lines))
        self.passage.outcome.remote = lines

    def _record(self, *entries: Mapping[str, object]) -> None:
        """Keep that lines were acknowledged; what is acknowledged need not be read again."""
        self.checkpoints.keep(self.ledger.record(self.passage.key, *entries))


async def _made(batch: Batch, body: Callable[[], bytes]) -> bytes:
    """The body of a request with these lines: of many it is made in a thread, so that other runs go on meanwhile."""
    return body() if batch.is_short else await asyncio.to_thread(body)


def _no_lines() -> Batch:
    return Batch(no_lines(), {stream: [] for stream in NUMBERED})


def quarantined(progress: Progress) -> list[Quarantined]:
    """The refused lines that a destination holds stand-ins for."""
    return [Quarantined(refusal.what, refusal.reason, _NEXT) for refusal in progress.refused.values()]


def set_aside(rows: Rows) -> list[Quarantined]:
    """What of the log is in no line, because no server takes it."""
    nothing_lost = "The log still has it; nothing is lost as long as you keep the log."
    return [Quarantined(item.what, item.reason, nothing_lost) for item in rows.set_aside]
