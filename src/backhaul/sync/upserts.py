"""What a server is told of a run as a whole: first what its first record says, at the end what the whole log says."""

from __future__ import annotations

from backhaul.runs.identity import RunIdentity
from backhaul.runs.rows import Rows
from backhaul.sync.destination import Destination
from backhaul.wire.remote import RunAddress, RunUpsert


def first_upsert(identity: RunIdentity, to: Destination) -> RunUpsert:
    """The run as its first record has it; the config and the rest follow when the log has been read."""
    return RunUpsert(
        run_id=to.run_id_of(identity),
        project=to.project_of(identity),
        entity=to.entity_of(identity),
        display_name=identity.display_name or None,
        notes=identity.notes or None,
        tags=identity.tags or None,
        group=identity.group or None,
        job_type=identity.job_type or None,
        host=identity.host or None,
        commit=identity.commit or None,
        repo=identity.repo or None,
        sweep=identity.sweep or None,
    )


def last_upsert(first: RunIdentity, rows: Rows, address: RunAddress, config: str) -> RunUpsert:
    """The run as the whole log has it. What the script took away again (all tags, the notes) is sent as empty."""
    last = rows.identity
    remote, commit = rows.environment.git
    return RunUpsert(
        run_id=address.run_id,
        storage_id=address.storage_id or None,
        project=address.project,
        entity=address.entity,
        config=config,
        display_name=last.display_name or None,
        notes=last.notes or ("" if first.notes else None),
        tags=last.tags if last.tags or first.tags else None,
        group=last.group or None,
        job_type=last.job_type or None,
        program=rows.environment.program,
        host=last.host or None,
        commit=last.commit or commit,
        repo=last.repo or remote,
        sweep=last.sweep or None,
    )
