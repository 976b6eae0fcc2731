"""W&B's own marker: it says that a run has arrived, and proves nothing."""

from __future__ import annotations

from collections.abc import Iterator

from backhaul.doctor.finding import Finding
from backhaul.doctor.patient import Patient
from backhaul.sync.progress import LogStamp


def check(patient: Patient) -> Iterator[Finding]:
    """A finding for a marked run of which nobody has a proof."""
    marker = patient.directory.synced_marker
    if not marker.exists():
        return
    stamp = LogStamp.of(patient.run.log)
    if any(known.verified == stamp for known in patient.ledger.values()):
        return
    message = "The run is marked as synced, and nobody has read it back: wandb sync marks runs that never arrived."
    yield Finding(
        "marked-not-proven", message, f"{marker} is there", f"backhaul sync {patient.directory.path}", str(marker)
    )
