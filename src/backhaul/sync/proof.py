"""The proof: read back, compare, keep the receipt. Only here a run becomes verified."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from backhaul.counted import counted
from backhaul.errors import LogDamaged, VerificationFailed
from backhaul.sync.ledger import Ledger
from backhaul.sync.marker import write_synced_marker
from backhaul.sync.outcome import RunState
from backhaul.sync.passage import Passage
from backhaul.sync.progress import LogStamp, verified_entry
from backhaul.sync.read_back import read_back
from backhaul.sync.receipt import Receipt, write_receipt
from backhaul.sync.verify import Expected
from backhaul.wandblog import Damage, DamageKind
from backhaul.wire.remote import RunAddress

_DIFFERENCES_TOLD = 5


async def prove(
    passage: Passage, ledger: Ledger, address: RunAddress, expected: Expected, stamp: LogStamp, digest: str
) -> None:
    """Read back, write the receipt, then ledger and marker. Raises VerificationFailed with the differences.

    `stamp` and `digest` (SHA-256) are those of the log as it was read.
    """
    outcome = passage.outcome
    passage.reporter.verifying(passage.run)
    differences, remote = await read_back(
        passage.server, address, expected, passage.retrier, passage.options.read_back_for
    )
    outcome.remote = remote.lines
    outcome.files_remote = sum(name in remote.files for name in expected.files)
    outcome.artifacts_remote = len(remote.artifacts)
    outcome.differences += differences
    if differences:
        told = "; ".join(map(str, differences[:_DIFFERENCES_TOLD]))
        more = " …" if len(differences) > _DIFFERENCES_TOLD else ""
        raise VerificationFailed(f"{address} was read back and differs from the log: {told}{more}.")
    receipt = Receipt(
        url=passage.destination.base_url,
        entity=address.entity,
        project=address.project,
        run_id=address.run_id,
        log=passage.run.directory.log,
        log_size=stamp.size,
        log_digest=digest,
        verified_at=datetime.now(UTC).isoformat(timespec="seconds"),
        expected=expected,
        remote=remote,
        quarantined=outcome.quarantined,
        left_out=outcome.left_out,
    )
    # In a thread: this waits for the disk, and the other runs need not.
    await asyncio.to_thread(_conclude, passage, ledger, stamp, receipt)


def _conclude(passage: Passage, ledger: Ledger, stamp: LogStamp, receipt: Receipt) -> None:
    run, outcome = passage.run, passage.outcome
    outcome.receipt = str(write_receipt(receipt, passage.options.state_folder))
    if outcome.quarantined:
        # What could be sent is there; the rest needs the user, so nothing is marked as done.
        outcome.state = RunState.QUARANTINED
        return
    outcome.state = RunState.VERIFIED
    losses = [damage for damage in outcome.damage if damage.is_loss]
    if losses:
        outcome.error = LogDamaged(f"{run.directory.log}: {_told(losses)}")
    unreadable = any(damage.kind is not DamageKind.NUMBER_GAP for damage in losses)
    if unreadable or outcome.left_out:
        # Nothing is marked: a better copy of the log, or a sync that leaves nothing out, may bring the rest.
        return
    ledger.record(passage.key, verified_entry(stamp, outcome.receipt, receipt.entity, receipt.project))
    write_synced_marker(run.directory)
    # Nothing comes after this entry; to give back the ledger's room waits for the disk, too.
    ledger.close()


def _told(losses: Sequence[Damage]) -> str:
    """What was lost, in one sentence."""
    size = sum(damage.length for damage in losses)
    known = [len(damage.numbers) for damage in losses if damage.numbers is not None]
    lost = f"{counted(sum(known), 'record')} {'is' if sum(known) == 1 else 'are'} lost"
    records = lost if len(known) == len(losses) else "records may be lost"
    where = f"the first at byte {losses[0].offset} ({losses[0].kind})"
    damaged = f"{size} bytes in {counted(len(losses), 'place')} are damaged, {where}; " if size else ""
    return f"{damaged}{records}; all that can be read was delivered."
