"""The proof: read back, compare, keep the receipt. Only here a run becomes verified."""

from __future__ import annotations

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
from backhaul.wandblog import DamageKind
from backhaul.wire.remote import RunAddress
from backhaul.wire.server import Server

_DIFFERENCES_TOLD = 5
# A torn tail is how a killed run ends, and zeros hold no records: neither is a loss inside the log.
_NO_LOSS = frozenset({DamageKind.TORN, DamageKind.ZEROED})


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
        if differences:
            told = "; ".join(map(str, differences[:_DIFFERENCES_TOLD]))
            more = " …" if len(differences) > _DIFFERENCES_TOLD else ""
            raise VerificationFailed(f"{address} was read back and differs from the log: {told}{more}.")
        receipt = self._receipt(address, expected, remote, stamp, digest)
        self.outcome.receipt = str(write_receipt(receipt, self.options.state_folder))
        self._conclude(ledger, key, address, stamp)

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
        )

    def _conclude(self, ledger: Ledger, key: str, address: RunAddress, stamp: LogStamp) -> None:
        if self.outcome.quarantined:
            # What could be sent is there; the rest needs the user, so nothing is marked as done.
            self.outcome.state = RunState.QUARANTINED
            return
        self.outcome.state = RunState.VERIFIED
        losses = [damage for damage in self.outcome.damage if damage.kind not in _NO_LOSS]
        if losses:
            lost = sum(damage.length for damage in losses)
            self.outcome.error = LogDamaged(
                f"{lost} bytes of {self.run.directory.log} are damaged, from byte {losses[0].offset} on "
                f"({losses[0].kind}); all that can be read was delivered."
            )
            return
        if self.outcome.left_out:
            # By the user's wish, and for this time: a later sync without that wish sends it, so nothing is marked.
            return
        ledger.record(key, verified_entry(stamp, self.outcome.receipt or "", address.entity, address.project))
        write_synced_marker(self.run.directory)
