"""The proof: read back, compare, keep the receipt. Only here a run becomes verified."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from backhaul.errors import LogDamaged, VerificationFailed
from backhaul.runs.inspect import Inspection
from backhaul.sync.destination import Destination
from backhaul.sync.ledger import Ledger
from backhaul.sync.marker import write_synced_marker
from backhaul.sync.options import SyncOptions
from backhaul.sync.outcome import Outcome, RunState
from backhaul.sync.progress import LogStamp, verified_entry
from backhaul.sync.read_back import read_back
from backhaul.sync.receipt import Receipt, write_receipt
from backhaul.sync.reporter import Reporter
from backhaul.sync.retry import Retrier
from backhaul.sync.verify import Expected, Remote
from backhaul.wandblog import Damage, DamageKind
from backhaul.wire.remote import RunAddress
from backhaul.wire.server import Server

_DIFFERENCES_TOLD = 5


@dataclass(slots=True)
class Proof:
    """Proves, for one run that was sent, that it arrived."""

    run: Inspection
    destination: Destination
    server: Server
    options: SyncOptions
    reporter: Reporter
    retrier: Retrier
    outcome: Outcome

    async def give(
        self, ledger: Ledger, key: str, address: RunAddress, expected: Expected, stamp: LogStamp, digest: str
    ) -> None:
        """Read back, write the receipt, then ledger and marker. Raises VerificationFailed with the differences."""
        self.reporter.verifying(self.run)
        differences, remote = await read_back(self.server, address, expected, self.retrier, self.options.read_back_for)
        self.outcome.remote = remote.lines
        self.outcome.files_remote = sum(name in remote.files for name in expected.files)
        self.outcome.artifacts_remote = len(remote.artifacts)
        self.outcome.differences += differences
        if differences:
            told = "; ".join(map(str, differences[:_DIFFERENCES_TOLD]))
            more = " …" if len(differences) > _DIFFERENCES_TOLD else ""
            raise VerificationFailed(f"{address} was read back and differs from the log: {told}{more}.")
        receipt = self._receipt(address, expected, remote, stamp, digest)
        # In a thread: this waits for the disk, and the other runs need not.
        await asyncio.to_thread(self._conclude, ledger, key, address, stamp, receipt)

    def _receipt(
        self, address: RunAddress, expected: Expected, remote: Remote, stamp: LogStamp, digest: str
    ) -> Receipt:
        return Receipt(
            url=self.destination.base_url,
            entity=address.entity,
            project=address.project,
            run_id=address.run_id,
            log=self.run.directory.log,
            log_size=stamp.size,
            log_digest=digest,
            verified_at=datetime.now(UTC).isoformat(timespec="seconds"),
            expected=expected,
            remote=remote,
            quarantined=self.outcome.quarantined,
            left_out=self.outcome.left_out,
        )

    def _conclude(self, ledger: Ledger, key: str, address: RunAddress, stamp: LogStamp, receipt: Receipt) -> None:
        self.outcome.receipt = str(write_receipt(receipt, self.options.state_folder))
        if self.outcome.quarantined:
            # What could be sent is there; the rest needs the user, so nothing is marked as done.
            self.outcome.state = RunState.QUARANTINED
            return
        self.outcome.state = RunState.VERIFIED
        losses = [damage for damage in self.outcome.damage if damage.is_loss]
        if losses:
            self.outcome.error = LogDamaged(f"{self.run.directory.log}: {_told(losses)}")
        unreadable = any(damage.kind is not DamageKind.NUMBER_GAP for damage in losses)
        if unreadable or self.outcome.left_out:
            # Nothing is marked: a better copy of the log, or a sync that leaves nothing out, may bring the rest.
            return
        ledger.record(key, verified_entry(stamp, self.outcome.receipt or "", address.entity, address.project))
        write_synced_marker(self.run.directory)


def _told(losses: Sequence[Damage]) -> str:
    """What was lost, in one sentence."""
    size = sum(damage.length for damage in losses)
    known = [len(damage.numbers) for damage in losses if damage.numbers is not None]
    records = f"{sum(known)} records are lost" if len(known) == len(losses) else "records may be lost"
    where = f"the first at byte {losses[0].offset} ({losses[0].kind})"
    places = "1 place" if len(losses) == 1 else f"{len(losses)} places"
    damaged = f"{size} bytes in {places} are damaged, {where}; " if size else ""
    return f"{damaged}{records}; all that can be read was delivered."
