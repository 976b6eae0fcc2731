"""One fragment on its way to one destination: what all who have to do with it share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from backhaul.runs.inspect import Inspection
from backhaul.runs.stream import Stream
from backhaul.sync.destination import Destination
from backhaul.sync.options import SyncOptions
from backhaul.sync.outcome import Outcome
from backhaul.sync.progress import Progress
from backhaul.sync.reporter import Reporter
from backhaul.sync.retry import Retrier
from backhaul.wire.remote import RunAddress
from backhaul.wire.server import Server


@dataclass(slots=True)
class Passage:
    """A fragment, where it goes and how, and how that went so far (`outcome`).

    Every request to `server` goes through `retrier`. `after` is where the fragment of the same run before it ends at
    the destination, `later` are the fragments after it. `key` is how the ledger knows the destination. `address` is
    where the run is, once the destination was told of it.
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
    key: str = field(init=False)
    address: RunAddress | None = None

    def __post_init__(self) -> None:
        self.key = self.destination.key(self.run.identity)
        self.outcome = Outcome.at(self.destination, self.run)

    @property
    def goes_on(self) -> bool:
        """Whether the run was there before this fragment began, by what the log says or another fragment shows."""
        return self.run.identity.resumes or self.after is not None

    async def addressed(self, progress: Progress) -> RunAddress:
        """Where the run is, without making it there: by the ledger, else by log and settings.

        The entity that neither names is the key's owner's, who is asked.
        """
        identity, to = self.run.identity, self.destination
        entity = progress.entity or to.entity_of(identity)
        if entity is None:
            entity = await self.retrier.run(self.server.default_entity)
        return RunAddress(entity, progress.project or to.project_of(identity), to.run_id_of(identity))
