"""Runs that could be deleted: proved by a receipt of the user's own, and unchanged as far as names and times tell."""

from __future__ import annotations

from collections.abc import Iterator

from backhaul.clean.evidence import evidence_for
from backhaul.doctor.finding import Finding
from backhaul.doctor.patient import Patient
from backhaul.doctor.remedy import command
from backhaul.errors import BackhaulError
from backhaul.sync.state_folder import comes_and_goes


def check(patient: Patient) -> Iterator[Finding]:
    """A note on a run that `backhaul clean` may delete once the server confirms it."""
    if comes_and_goes(patient.directory.log, patient.state_folder):
        return
    for to, known in patient.ledger.items():
        if known.verified is None:
            continue
        try:
            evidence = evidence_for(patient.directory, known, patient.state_folder, patient.open_files)
        except BackhaulError:
            # Then it is not proved, and nothing is said: `backhaul clean` tells why.
            continue
        message = "The run is home, and may be deleted once the server confirms it."
        told = f"{evidence.extent.frees} bytes; {to}: receipt {evidence.receipt.path}"
        remedy = command("backhaul", "clean", "--dry-run", patient.directory.path)
        yield Finding("can-be-cleaned", message, told, remedy, str(patient.directory.path))
        return
