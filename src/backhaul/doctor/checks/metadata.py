"""What a server will refuse in a run's own description, found before anything is sent.

The limits are those of the W&B server (tags and job type: 400 with "must be between 1 and 64 characters", "64 limit
exceeded for JobType") and of `wandb.init` in SDK 0.31 (run id and project), which older SDKs did not check.
"""

from __future__ import annotations

from collections.abc import Iterator

from backhaul.doctor.finding import Finding
from backhaul.doctor.patient import Patient
from backhaul.doctor.remedy import command, sync

_MOST_CHARACTERS = 64
_MOST_NAME_CHARACTERS = 128
_NOT_IN_PROJECT = frozenset("/\\#?%:")
_NOT_IN_ID = frozenset(":;,#?/'\\")


def check(patient: Patient) -> Iterator[Finding]:
    """Findings on tags, job type, run id and project."""
    yield from _labels(patient)
    yield from _names(patient)


def _labels(patient: Patient) -> Iterator[Finding]:
    who, mend = patient.run.identity, command("backhaul", "repair", "--mend-metadata", patient.directory.path)
    for tag in who.tags:
        if not 1 <= len(tag) <= _MOST_CHARACTERS:
            yield _refused(patient, f"A tag has {len(tag)} characters; a server takes 1 to 64.", f"tag {tag!r}", mend)
    if len(who.job_type) > _MOST_CHARACTERS:
        message = f"The job type has {len(who.job_type)} characters; a server takes up to 64."
        yield _refused(patient, message, f"job type {who.job_type!r}", mend)


def _names(patient: Patient) -> Iterator[Finding]:
    who, folder = patient.run.identity, patient.directory.path
    if not _is_name(who.run_id, _NOT_IN_ID) or who.run_id != who.run_id.strip():
        message = (
            "The run id is one that no server takes (1 to 128 characters, none of : ; , # ? / ' \\, no outer blanks)."
        )
        remedy = sync("--id", _taken(who.run_id.strip(), _NOT_IN_ID), folder)
        yield _refused(patient, message, f"run id {who.run_id!r}", remedy)
    if who.project and not _is_name(who.project, _NOT_IN_PROJECT):
        message = "The project's name is one that no server takes (up to 128 characters, none of / \\ # ? % :)."
        remedy = sync("-p", _taken(who.project, _NOT_IN_PROJECT), folder)
        yield _refused(patient, message, f"project {who.project!r}", remedy)


def _is_name(name: str, without: frozenset[str]) -> bool:
    return 1 <= len(name) <= _MOST_NAME_CHARACTERS and not without & set(name)


def _taken(name: str, without: frozenset[str]) -> str:
    """The nearest name that is taken."""
    return "".join("-" if character in without else character for character in name)[:_MOST_NAME_CHARACTERS] or "run"


def _refused(patient: Patient, message: str, evidence: str, remedy: str) -> Finding:
    return Finding("metadata-refused", message, f"{patient.run.log}: {evidence}", remedy, str(patient.run.log))
