"""Several runs on their way at once: no run stops another, and every one has an outcome."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from backhaul.errors import BackhaulError, ConfigurationError, ConnectionRefused, HostNotFound, QuarantineError
from backhaul.runs.directory import RunDirectory
from backhaul.runs.inspect import Inspection, inspect
from backhaul.runs.rows import Stream
from backhaul.sync.delivery import Delivery
from backhaul.sync.destination import Destination
from backhaul.sync.mishap import told
from backhaul.sync.options import SyncOptions
from backhaul.sync.outcome import Outcome
from backhaul.sync.reporter import Reporter, Silent
from backhaul.sync.retry import Retrier
from backhaul.sync.size_limit import SizeLimit
from backhaul.wire.server import Server


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

    async def sync(self, directories: Iterable[RunDirectory]) -> list[Outcome]:
        """Deliver every run; one outcome per directory, in their order. Only a bug of ours raises."""
        deadline = None if self.options.deadline is None else time.monotonic() + self.options.deadline
        inspected = await asyncio.to_thread(lambda: [self._inspect(directory) for directory in directories])
        slots = asyncio.Semaphore(self.options.jobs)
        for run in inspected:
            if isinstance(run, Outcome):
                self.reporter.finished(None, run)
        runs = [run for run in inspected if isinstance(run, Inspection)]
        groups = self._by_run(runs)
        delivered = await asyncio.gather(*(self._fragments(group, slots, deadline) for group in groups))
        by_log = {
            run.directory.log: outcome
            for group, outcomes in zip(groups, delivered, strict=True)
            for run, outcome in zip(group, outcomes, strict=True)
        }
        return [run if isinstance(run, Outcome) else by_log[run.directory.log] for run in inspected]

    def _inspect(self, directory: RunDirectory) -> Inspection | Outcome:
        try:
            return inspect(directory)
        except BackhaulError as error:
            outcome = Outcome(directory.path, directory.run_id_hint)
            outcome.fail(error)
            return outcome

    def _by_run(self, runs: Sequence[Inspection]) -> list[list[Inspection]]:
        """The fragments of each run, in the order in which they were recorded."""
        groups: dict[str, list[Inspection]] = {}
        for run in runs:
            groups.setdefault(self.destination.key(run.identity), []).append(run)
        return [sorted(group, key=lambda run: run.identity.start_time) for group in groups.values()]

    async def _fragments(
        self, fragments: list[Inspection], slots: asyncio.Semaphore, deadline: float | None
    ) -> list[Outcome]:
        """One after another: each goes on where the one before it ended, so after a failure the rest has to wait."""
        outcomes: list[Outcome] = []
        after: Mapping[Stream, int] | None = None
        for index, run in enumerate(fragments):
            delivery = self._delivery(run, deadline, after, fragments[index + 1 :])
            async with slots:
                outcomes.append(await self._one(delivery))
            after = delivery.end
            failed = outcomes[-1].error
            if failed is not None and len(outcomes) < len(fragments) and failed.exit_code != 9:
                outcomes += [self._held_back(later, outcomes[-1]) for later in fragments[index + 1 :]]
                break
        return outcomes

    def _delivery(
        self,
        run: Inspection,
        deadline: float | None,
        after: Mapping[Stream, int] | None,
        later: Sequence[Inspection],
    ) -> Delivery:
        retrier = Retrier(self.options.patience, deadline, on_wait=partial(self.reporter.waiting, run))
        return Delivery(
            run, self.destination, self.server, self.options, self.reporter, retrier, self._size_limit, after, later
        )

    async def _one(self, delivery: Delivery) -> Outcome:
        run, outcome = delivery.run, delivery.outcome
        try:
            if self._closed is not None:
                raise self._closed
            await delivery.deliver()
        except Exception as error:  # noqa: BLE001 - the last door of one run: its failure must not end the others.
            failure = told(error)
            outcome.fail(failure)
            if isinstance(failure, HostNotFound | ConnectionRefused | ConfigurationError):
                self._closed = failure
        self.reporter.finished(run, outcome)
        return outcome

    def _held_back(self, run: Inspection, before: Outcome) -> Outcome:
        outcome = Outcome(run.directory.path, run.identity.run_id)
        reason = before.error.message if before.error else "it is not delivered"
        error = QuarantineError(
            f"An earlier part of this run ({before.path.name}) has to go first: {reason}",
            next="Mend the earlier part, then run the same command again.",
        )
        if before.error is not None and before.exit_code in (4, 5, 8):
            outcome.fail(before.error)
        else:
            outcome.fail(error)
        self.reporter.finished(run, outcome)
        return outcome


async def sync_runs(
    directories: Iterable[RunDirectory],
    *,
    server: Server,
    destination: Destination,
    options: SyncOptions,
    reporter: Reporter | None = None,
) -> list[Outcome]:
    """Bring the runs to the destination and prove that they arrived; one outcome per directory, in their order."""
    return await Engine(server, destination, options, reporter or Silent()).sync(directories)
