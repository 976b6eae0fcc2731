"""The transaction log: is all of it there, who wrote it, and does it still grow?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from backhaul.counted import counted
from backhaul.doctor.finding import Finding
from backhaul.doctor.patient import Patient
from backhaul.doctor.remedy import command, sync
from backhaul.repair.place import default_folder
from backhaul.wandblog import Damage, DamageKind, LogEnd

_DAMAGE_TOLD = 3
_BYTES_TOLD = 16
# SDK 0.24.0 drops chunks while it uploads (wandb issue 11249); the log itself is whole.
LOSSY = "0.24.0"
# The newest release whose records are all known here.
_NEWEST_KNOWN = (0, 31)


def check(patient: Patient) -> Iterator[Finding]:
    """Findings on damage, ends, the run record and the writer of one log."""
    path = str(patient.run.log)
    if patient.recording:
        message = "The run is still being written; a sync sends what is whole, and goes on when the job has ended."
        evidence = f"{path}: {patient.life.because}"
        yield Finding("still-recording", message, evidence, sync(patient.directory.path), path)
    elif patient.run.end in (LogEnd.EMPTY, LogEnd.HEADER_ONLY):
        yield _nothing_in_it(patient, path)
        return
    yield from _damage(patient, path)
    if not patient.recording:
        yield from _end(patient, path)
    yield from _writer(patient, path)


def first_bytes(path: Path) -> str:
    """The first bytes of a file, as hexadecimal numbers and as text."""
    try:
        with path.open("rb") as file:
            start = file.read(_BYTES_TOLD)
    except OSError as error:
        return str(error.strerror or error)
    text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in start)
    return f"it begins with {start.hex(' ')} ({text})" if start else "nothing in it"


def _nothing_in_it(patient: Patient, path: str) -> Finding:
    size = patient.stamp.size
    message, remedy = (
        "The log holds no record, so that there is nothing to send; a repair makes a run of what its files folder has.",
        command("backhaul", "repair", patient.directory.path),
    )
    evidence = " ".join((f"{path}: {size} bytes, {first_bytes(patient.run.log)}.", *patient.run.notes))
    if (repaired := default_folder(patient.directory)).is_dir():
        message, remedy = "The log holds no record; a repair has made a run of what there was.", sync(repaired)
        evidence += f" The repaired run is at {repaired}."
    return Finding("empty-log", message, evidence, remedy, path)


def _damage(patient: Patient, path: str) -> Iterator[Finding]:
    losses = [damage for damage in patient.run.damage if damage.is_loss]
    if not losses:
        return
    lost = patient.run.lost_records
    records = (
        "an unknown number of records is" if lost is None else "1 record is" if lost == 1 else f"{lost} records are"
    )
    evidence = "; ".join(map(_where, losses[:_DAMAGE_TOLD])) + (" …" if len(losses) > _DAMAGE_TOLD else "")
    message = f"The log is damaged in {counted(len(losses), 'place')}; {records} lost, all else can be read and sent."
    yield Finding("log-damaged", message, f"{path}: {evidence}", sync(patient.directory.path), path)


def _where(damage: Damage) -> str:
    return f"{damage.kind} at byte {damage.offset}, {damage.length} bytes"


def _end(patient: Patient, path: str) -> Iterator[Finding]:
    remedy = sync(patient.directory.path)
    # What is home needs no other end than the one it has.
    end = None if patient.verified else patient.run.end
    if end is LogEnd.TORN:
        message = "The job was killed while it wrote: the last record is torn, all before it can be sent."
        yield Finding("log-torn", message, _told(patient, _tear(patient)), remedy, path)
    elif end is LogEnd.NO_EXIT:
        message = "The job was killed: the log has no exit record; all of it can be sent."
        size = patient.stamp.size
        evidence = f"the last of {size} bytes end a record that is no exit. {patient.life.because}"
        yield Finding("no-exit-record", message, _told(patient, evidence), remedy, path)
    if not patient.run.has_run_record:
        message = "The log has lost the record that says which run it is; the id is taken from the file's name."
        remedy = sync("-e", "ENTITY", "-p", "PROJECT", patient.directory.path)
        yield Finding("no-run-record", message, f"no record of kind run in {path}", remedy, path)


def _told(patient: Patient, evidence: str) -> str:
    return " ".join((f"{patient.run.log}: {evidence}", *patient.run.notes))


def _tear(patient: Patient) -> str:
    size = patient.stamp.size
    torn = next((damage for damage in reversed(patient.run.damage) if damage.kind is DamageKind.TORN), None)
    if torn is None:
        return f"the last of {size} bytes are not a whole record."
    return (
        f"whole records up to byte {torn.offset} of {size}, then {size - torn.offset} bytes of one that is not whole."
    )


def _writer(patient: Patient, path: str) -> Iterator[Finding]:
    version = patient.run.sdk_version
    if version == LOSSY and patient.directory.synced_marker.exists() and not patient.verified:
        message = "wandb 0.24.0 may have dropped data while it uploaded this run; the log still has it."
        evidence = f"{path}: written by wandb {version}, and marked as synced"
        yield Finding("lossy-sdk", message, evidence, sync(patient.directory.path), path)
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers and (int(numbers[1]), int(numbers[2])) > _NEWEST_KNOWN:
        message = f"The log was written by wandb {version}, which is newer than what this Backhaul was tried with."
        evidence = (
            f"{path}: its header names wandb {version}; the newest release tried is "
            f"{_NEWEST_KNOWN[0]}.{_NEWEST_KNOWN[1]}, and unknown records are passed over"
        )
        yield Finding("newer-log", message, evidence, "pip install --upgrade backhaul", path)
