"""A job's runs as entries of the queue: before they are sent, so that they are known whatever comes, and afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from backhaul.errors import BackhaulError, ConfigurationError
from backhaul.runs.directory import RunDirectory
from backhaul.sync.connection import destination_of, user_settings
from backhaul.sync.destination import Destination
from backhaul.sync.outcome import Outcome
from backhaul.sync.state_folder import state_folder
from backhaul.sync.target import Target
from backhaul.unattended.judgement import Judge
from backhaul.unattended.queue.entry import Entry, QueueState, Reason
from backhaul.unattended.queue.opening import open_queue


@dataclass(frozen=True, slots=True)
class HandingOver:
    """Puts runs into the queue, with the destination that the user named for them."""

    target: Target
    judge: Judge

    @classmethod
    def to(cls, target: Target) -> Self:
        """By the user's settings; when they are broken, the worker will tell."""
        try:
            destination = destination_of(target, user_settings())
        except ConfigurationError:
            destination = Destination(target.to or "")
        return cls(target, Judge(destination, state_folder()))

    def before(self, runs: Sequence[RunDirectory], *, not_before: float) -> None:
        """Have them known; nobody takes one before `not_before` (Unix seconds). Raises BackhaulError."""
        with open_queue() as queue:
            queue.add(replace(entry, due_at=not_before) for entry in self._entries(runs))

    def after(self, outcomes: Iterable[Outcome], runs: Sequence[RunDirectory]) -> None:
        """Have known what came of them; what is not home is due now. Raises BackhaulError."""
        errors = {outcome.path: outcome.error for outcome in outcomes}
        with open_queue() as queue:
            queue.replace(_with_reason(entry, errors) for entry in self._entries(runs))

    def _entries(self, runs: Sequence[RunDirectory]) -> Iterator[Entry]:
        to, entity, project = (each or "" for each in (self.target.to, self.target.entity, self.target.project))
        for entry in self.judge.judged(runs):
            yield replace(entry, to=to, entity=entity, project=project)


def _with_reason(entry: Entry, errors: Mapping[Path, BackhaulError | None]) -> Entry:
    error = errors.get(entry.log.parent)
    if error is None or entry.state is QueueState.VERIFIED:
        return entry
    return replace(entry, reason=Reason.of(error), due_at=time.time())
