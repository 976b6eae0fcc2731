"""Several runs on their way at once: no run stops another, and every one has an outcome."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from backhaul.errors import (
    BackhaulError,
    ConfigurationError,
    DeadlineReached,
    EmptyLog,
    LogDamaged,
    QuarantineError,
    StillRecording,
    TemporaryError,
)
from backhaul.runs.directory import RunDirectory
from backhaul.runs.inspect import Inspection, inspect
from backhaul.runs.open_files import is_open_for_writing
from backhaul.runs.stream import Stream
from backhaul.sync.at_once import Budget, runs_at_once
from backhaul.sync.companions import companions_of
from backhaul.sync.delivery import Delivery
from backhaul.sync.destination import Destination
from backhaul.sync.digests import Digests
from backhaul.sync.follower import Follower, is_to_be_followed
from backhaul.sync.fragments import Chain, fragments_by_run
from backhaul.sync.log_digest import Beginning
from backhaul.sync.mishap import is_for_all, mishap_of, told
from backhaul.sync.options import SyncOptions
from backhaul.sync.outcome import Outcome
from backhaul.sync.passage import Passage
from backhaul.sync.reporter import Reporter
from backhaul.sync.retry import Retrier
from backhaul.sync.size_limit import SizeLimit
from backhaul.wire.server import Server

# What of its log a run has in memory: all of a short one, some batches of a long one. Four long ones at a time.
_MOST_OF_ONE, _MOST_OF_ALL = 16 << 20, 64 << 20
# How often, in seconds, a log without a record is looked at.
_POLL = 1.0
_UNASKED = "This part of the run was sent before; it was looked at again because of another part of it."


@dataclass(slots=True)
class Engine:
    """Brings runs to one destination."""

    server: Server
    destination: Destination
    options: SyncOptions
    reporter: Reporter
    # Why no run can get through at the moment: the others need not find that out one by one.
    _closed: BackhaulError | None = None
    _size_limit: SizeLimit = field(default_factory=SizeLimit)
    _digests: Digests = field(default_factory=Digests)
    _outcomes: dict[Path, Outcome] = field(default_factory=dict)
    _finished: set[Path] = field(default_factory=set)
    # The logs of parts that nobody named: what becomes of them is only told if something does.
    _unasked: set[Path] = field(default_factory=set)
    _memory: Budget = field(default_factory=lambda: Budget(_MOST_OF_ALL))

    async def sync(self, directories: Sequence[RunDirectory]) -> list[Outcome]:
        """Deliver every run; one outcome per directory, in their order. Only a bug of ours raises.

        After them come parts of the same runs that were sent before and had to be sent again, see `companions`.
        """
        deadline = None if self.options.deadline is None else time.monotonic() + self.options.deadline
        self._outcomes = {directory.log: Outcome(directory.path, directory.run_id_hint) for directory in directories}
        inspected = await asyncio.to_thread(lambda: [self._inspect(directory) for directory in directories])
        slots = asyncio.Semaphore(runs_at_once(self.options.jobs))
        begun = [run for run in inspected if isinstance(run, Inspection)]
        late = [run for run in inspected if isinstance(run, RunDirectory)]
        others = await asyncio.to_thread(companions_of, begun, self.destination, self.options.state_folder)
        self._unasked = {run.directory.log for run in others}
        groups = fragments_by_run([*begun, *others], self.destination)
        await asyncio.gather(
            *(self._fragments(group, slots, deadline) for group in groups),
            *(self._from_its_first_record(directory, slots, deadline) for directory in late),
        )
        return self._told()

    def stopped(self, why: BackhaulError) -> list[Outcome]:
        """The outcomes after `sync` was cancelled: what each run had reached, and `why` it went no further."""
        for log, outcome in self._outcomes.items():
            if log not in self._finished:
                outcome.fail(why)
        return self._told()

    def _told(self) -> list[Outcome]:
        """The outcomes of what was named, and of what else there is news of."""
        return [outcome for log, outcome in self._outcomes.items() if log not in self._unasked or outcome.is_news]

    def _inspect(self, directory: RunDirectory) -> Inspection | RunDirectory | None:
        """The run; its directory alone when it is being recorded and has no record yet; None when it can be neither."""
        try:
            return inspect(directory)
        except BackhaulError as error:
            if isinstance(error, EmptyLog) and is_open_for_writing(directory.log):
                return directory
            self._finish(None, directory, error)
            return None

    def _finish(self, run: Inspection | None, directory: RunDirectory, error: BackhaulError | None = None) -> None:
        outcome = self._outcomes[directory.log]
        if error is not None:
            outcome.fail(error)
        self._finished.add(directory.log)
        if directory.log in self._unasked:
            outcome.notes.append(_UNASKED)
        if directory.log not in self._unasked or outcome.is_news:
            self.reporter.finished(run, outcome)

    async def _from_its_first_record(
        self, directory: RunDirectory, slots: asyncio.Semaphore, deadline: float | None
    ) -> None:
        """A run that has begun and has no record on disk yet: told, or with `live` waited for."""
        found: Inspection | RunDirectory | None = directory
        while isinstance(found, RunDirectory):
            if not self.options.live:
                nothing_yet = StillRecording(f"{directory.log} is being written, and nothing of it is on the disk yet.")
                return self._finish(None, directory, nothing_yet)
            if deadline is not None and time.monotonic() >= deadline:
                return self._finish(None, directory, DeadlineReached(f"Nothing is in {directory.log} yet."))
            await asyncio.sleep(_POLL)
            found = await asyncio.to_thread(self._inspect, directory)
        if found is not None:
            await self._fragments(Chain([found]), slots, deadline)
        return None

    async def _fragments(self, chain: Chain, slots: asyncio.Semaphore, deadline: float | None) -> None:
        """One after another: each goes on where the one before it ended, so after a failure the rest has to wait."""
        for index, run in enumerate(chain.fragments):
            delivery = await self._to_its_end(run, deadline, chain.begin_of(index), chain.after(index), slots)
            self._finish(delivery.passage.run, run.directory)
            chain.ended(delivery.end)
            failed = delivery.outcome.error
            if failed is not None and not isinstance(failed, LogDamaged):
                for later in chain.fragments[index + 1 :]:
                    if later.directory.log not in self._unasked:
                        self._finish(later, later.directory, _held_back(delivery.outcome))
                break

    async def _to_its_end(
        self,
        run: Inspection,
        deadline: float | None,
        after: Mapping[Stream, int] | None,
        later: Sequence[Inspection],
        slots: asyncio.Semaphore,
    ) -> Delivery:
        """Deliver a fragment; with `live` again and again for as long as it grows."""
        follower, beginning = Follower(self.options, self.reporter), Beginning()
        while True:
            async with slots, self._memory.hold(min(run.size, _MOST_OF_ONE)):
                began = time.monotonic()
                delivery = self._delivery(run, deadline, after, later, beginning)
                self._outcomes[run.directory.log] = delivery.outcome
                await self._one(delivery)
            if not self.options.live:
                return delivery
            try:
                if not await asyncio.to_thread(is_to_be_followed, delivery):
                    return delivery
                await follower.wait(delivery, time.monotonic() - began)
                run = await asyncio.to_thread(inspect, run.directory)
            except (OSError, BackhaulError) as error:
                delivery.outcome.fail(told(error))
                return delivery

    def _delivery(
        self,
        run: Inspection,
        deadline: float | None,
        after: Mapping[Stream, int] | None,
        later: Sequence[Inspection],
        beginning: Beginning,
    ) -> Delivery:
        retrier = Retrier(self.options.patience, deadline, on_wait=partial(self.reporter.waiting, run))
        unasked = run.directory.log in self._unasked
        options = replace(self.options, force=False) if unasked else self.options
        passage = Passage(run, self.destination, self.server, options, self.reporter, retrier, after, later)
        return Delivery(passage, self._size_limit, self._digests, beginning)

    async def _one(self, delivery: Delivery) -> None:
        failure = self._closed or await mishap_of(delivery.deliver())
        if failure is None:
            return
        delivery.outcome.fail(failure)
        waits = self.options.live and isinstance(failure, TemporaryError)
        if is_for_all(failure) and not waits:
            self._closed = failure


def _held_back(before: Outcome) -> BackhaulError:
    """Why the fragments after one that was not delivered have to wait."""
    if isinstance(before.error, ConfigurationError | TemporaryError | DeadlineReached):
        return before.error
    reason = before.error.message if before.error else "it is not delivered"
    return QuarantineError(
        f"An earlier part of this run ({before.path.name}) has to go first: {reason}",
        next="Mend the earlier part, then run the same command again.",
    )
