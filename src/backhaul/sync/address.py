"""Where a run is at a destination, without making it there."""

from __future__ import annotations

from backhaul.runs.identity import RunIdentity
from backhaul.sync.destination import Destination
from backhaul.sync.progress import Progress
from backhaul.sync.retry import Retrier
from backhaul.wire.remote import RunAddress
from backhaul.wire.server import Server


async def address_of(
    identity: RunIdentity, to: Destination, progress: Progress, server: Server, retrier: Retrier
) -> RunAddress:
    """By the ledger, else by log and settings; the entity that neither names is the key's owner's, who is asked."""
    entity = progress.entity or to.entity_of(identity)
    if entity is None:
        entity = await retrier.run(server.default_entity)
    return RunAddress(entity, progress.project or to.project_of(identity), to.run_id_of(identity))
