"""What a server will refuse in a run's own description, found before anything is sent.

The limits and texts are those of the W&B server (tags and job type: 400 with "must be between 1 and 64 characters",
"64 limit exceeded for JobType"; run id and project: the checks of `wandb.init` in SDK 0.31).
"""

from __future__ import annotations

from collections.abc import Iterator

from backhaul.doctor.finding import Finding
from backhaul.doctor.patient import Patient

_MOST_CHARACTERS = 64
_MOST_PROJECT_CHARACTERS = 128
_NOT_IN_PROJECT = frozenset("/\\#?%:")
_NOT_IN_ID = frozenset("/\\#?%:")


def check(patient: Patient) -> Iterator[Finding]:
    """Findings on tags, job type, run id and project."""
    who, folder = patient.run.identity, patient.directory.path
    mend = f"backhaul repair --mend-metadata {folder}"
    for tag in who.tags:
        if not 1 <= len(tag) <= _MOST_CHARACTERS:
            yield _refused(patient, f"A tag has {len(tag)} characters; a server takes 1 to 64.", f"tag {tag!r}", mend)
    if len(who.job_type) > _MOST_CHARACTERS:
        message = f"The job type has {len(who.job_type)} characters; a server takes up to 64."
        yield _refused(patient, message, f"job type {who.job_type!r}", mend)
    if found := _NOT_IN_ID & set(who.run_id):
        message = f"The run id has characters that no server takes: {' '.join(sorted(found))}"
        yield _refused(patient, message, f"run id {who.run_id!r}", f"backhaul sync --id NEW {folder}")
    if len(who.project) > _MOST_PROJECT_CHARACTERS or _NOT_IN_PROJECT & set(who.project):
        message = "The project's name is one that no server takes (up to 128 characters, none of / \\ # ? % :)."
        yield _refused(patient, message, f"project {who.project!r}", f"backhaul sync -p PROJECT {folder}")


def _refused(patient: Patient, message: str, evidence: str, remedy: str) -> Finding:
    return Finding("metadata-refused", message, evidence, remedy, str(patient.run.log))
