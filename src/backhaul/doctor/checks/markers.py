"""W&B's own marker: it says that a run has arrived, and proves nothing."""

from __future__ import annotations

from collections.abc import Iterator

from backhaul.doctor.finding import Finding
from backhaul.doctor.patient import Patient
from backhaul.doctor.remedy import sync


def check(patient: Patient) -> Iterator[Finding]:
    """A finding for a marked run of which nobody has a proof."""
    marker = patient.directory.synced_marker
    if not marker.exists() or patient.verified:
        return
    message = "The run is marked as synced, and nobody has read it back: wandb sync marks runs that never arrived."
    evidence = f"{marker} is there, and no ledger has a proof of this log"
    yield Finding("marked-not-proven", message, evidence, sync(patient.directory.path), str(marker))
