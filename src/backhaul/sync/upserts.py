"""What a server is told of a run as a whole."""

from __future__ import annotations

from backhaul.runs.identity import RunIdentity
from backhaul.runs.rows import Rows
from backhaul.sync.destination import Destination
from backhaul.wire.remote import RunAddress, RunUpsert


def upsert_of(first: RunIdentity, rows: Rows, to: Destination, address: RunAddress | None) -> RunUpsert:
    """The run as its log has it, as far as that was read; `first` is its first record, `address` where it is if known.

    What the script took away again (all tags, the notes) is sent as empty.
    """
    last = rows.identity
    remote, commit = rows.environment.git
    return RunUpsert(
        run_id=to.run_id_of(first) if address is None else address.run_id,
        storage_id=None if address is None else address.storage_id or None,
        project=to.project_of(first) if address is None else address.project,
        entity=to.entity_of(first) if address is None else address.entity,
        config=rows.config_json(),
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
