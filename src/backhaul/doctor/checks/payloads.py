"""The files that a run names: are they there, and are they what they were when they were sent?"""

from __future__ import annotations

from collections.abc import Iterator

from backhaul.doctor.finding import Finding
from backhaul.doctor.patient import Patient
from backhaul.runs.payloads import Payload, digest_of
from backhaul.runs.recorded_files import LoggedFile

_BRING_BACK = "copy it there, then run the sync again; what is sent already is not sent again"


def check(patient: Patient) -> Iterator[Finding]:
    """Findings on missing, empty and changed files of one run, and on artifact contents that are gone."""
    for file in patient.run.files:
        if not file.present:
            whither = (
                f"{file.path} is a link to {file.link}, where nothing is" if file.link else f"nothing at {file.path}"
            )
            yield Finding(
                "payload-missing", f"The run saved {file.name}, which is gone.", whither, _BRING_BACK, str(file.path)
            )
        elif file.size == 0:
            message = f"The file {file.name} is empty."
            yield Finding(
                "payload-empty", message, f"{file.path}: 0 bytes", "nothing, if it is meant to be", str(file.path)
            )
        else:
            yield from _changed(patient, file)
    for artifact in patient.run.artifacts:
        for place in artifact.missing:
            message = f"A content of the artifact {artifact.name} is nowhere on this machine."
            evidence = f"recorded at {place}; looked there, in the staging folders, the caches and the run's files"
            yield Finding("payload-missing", message, evidence, _BRING_BACK, str(place))


def _changed(patient: Patient, file: LoggedFile) -> Iterator[Finding]:
    """What a destination acknowledged under this name was of another size or digest."""
    for to, known in patient.ledger.items():
        sent = known.files.get(file.name)
        if sent is None:
            continue
        now = digest_of(Payload(file.name, file.path))
        if now != sent:
            message = f"The file {file.name} has changed since it was sent."
            evidence = f"sent to {to}: {sent.size} bytes, MD5 {sent.md5}; now {now.size} bytes, MD5 {now.md5}"
            yield Finding(
                "payload-changed", message, evidence, f"backhaul sync --force {patient.directory.path}", str(file.path)
            )
