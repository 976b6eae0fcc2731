"""The transaction log: is all of it there, who wrote it, and does it still grow?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from backhaul.doctor.finding import Finding
from backhaul.doctor.patient import Patient
from backhaul.wandblog import Damage, LogEnd

_DAMAGE_TOLD = 3
# SDK 0.24.0 drops chunks while it uploads (wandb issue 11249); the log itself is whole.
_LOSSY = "0.24.0"
# The newest release whose records are all known here.
_NEWEST_KNOWN = (0, 31)


def check(patient: Patient) -> Iterator[Finding]:
    """Findings on damage, ends, the run record and the writer of one log."""
    path = str(patient.run.log)
    if patient.recording:
        yield Finding(
            "still-recording",
            "The run is still being written.",
            f"a process of this host holds {path} open for writing",
            f"backhaul sync {patient.directory.path} sends what is whole; run it again when the job has ended",
            path,
        )
    yield from _damage(patient, path)
    if not patient.recording:
        yield from _end(patient, path)
    yield from _writer(patient, path)


def _damage(patient: Patient, path: str) -> Iterator[Finding]:
    losses = [damage for damage in patient.run.damage if damage.is_loss]
    if not losses:
        return
    lost = patient.run.lost_records
    records = "an unknown number of records is lost" if lost is None else f"{lost} records are lost"
    evidence = "; ".join(map(_where, losses[:_DAMAGE_TOLD])) + (" …" if len(losses) > _DAMAGE_TOLD else "")
    message = f"The log is damaged in {_places(len(losses))}; {records}, all else can be read and sent."
    yield Finding("log-damaged", message, evidence, f"backhaul sync {patient.directory.path}", path)


def _where(damage: Damage) -> str:
    return f"{damage.kind} at byte {damage.offset}, {damage.length} bytes"


def _places(count: int) -> str:
    return "1 place" if count == 1 else f"{count} places"


def _end(patient: Patient, path: str) -> Iterator[Finding]:
    end, remedy = patient.run.end, f"backhaul sync {patient.directory.path}"
    notes = " ".join(patient.run.notes)
    if end is LogEnd.TORN:
        message = "The job was killed while it wrote: the last record is torn, all before it can be sent."
        yield Finding("log-torn", message, notes or "the last record is not whole", remedy, path)
    elif end is LogEnd.NO_EXIT:
        message = "The log has no exit record: the job was killed, or it runs on another host."
        yield Finding("no-exit-record", message, notes or "no record of kind exit", remedy, path)
    if not patient.run.has_run_record:
        message = "The log has lost the record that says which run it is; the id is taken from the file's name."
        remedy = f"backhaul sync -e ENTITY -p PROJECT {patient.directory.path}"
        yield Finding("no-run-record", message, f"no record of kind run in {path}", remedy, path)


def _writer(patient: Patient, path: str) -> Iterator[Finding]:
    version = patient.run.sdk_version
    if version == _LOSSY and not patient.directory.offline:
        message = "wandb 0.24.0 may have dropped data while it uploaded; the log still has it."
        yield Finding(
            "lossy-sdk", message, f"written by wandb {version}", f"backhaul sync {patient.directory.path}", path
        )
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers and (int(numbers[1]), int(numbers[2])) > _NEWEST_KNOWN:
        message = f"The log was written by wandb {version}, which is newer than what this Backhaul was tried with."
        evidence = f"the newest release tried is {_NEWEST_KNOWN[0]}.{_NEWEST_KNOWN[1]}; unknown records are passed over"
        yield Finding("newer-log", message, evidence, "pip install --upgrade backhaul", path)
