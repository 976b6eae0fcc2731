"""The files that a run names: are they there, and are they what they were when they were sent?"""

from __future__ import annotations

from collections.abc import Iterator

from backhaul.doctor.finding import Finding
from backhaul.doctor.moved import found_again
from backhaul.doctor.patient import Patient
from backhaul.doctor.remedy import command, sync
from backhaul.runs.payloads import MADE_FROM_LOG, Payload, digest_of
from backhaul.runs.recorded_files import LoggedFile

# A run's own files go whole (S3: 5 GiB in one PUT; keys of 1024 bytes); those of artifacts go in parts.
_LARGEST_FILE = 5 << 30
_LONGEST_NAME = 1024
_MOST_ROWS = 100
# A file that was written at the run's very end may be newer than its last record, in seconds.
_SLOW_END = 60.0
_RENAME = "save it under another name; all else of the run is sent"
_KEEP = "keep the log: it alone has it"
_BRING_BACK = "bring the file back to its place, then sync again"


def check(patient: Patient) -> Iterator[Finding]:
    """Findings on missing, empty, changed and too large files of one run, names and rows that no server takes, and
    contents of artifacts that are gone or changed.
    """
    yield from _rows(patient)
    for file in patient.run.files:
        if reason := _why_refused(file.name):
            message = f"The run saved a file whose name no server takes: {reason}."
            yield Finding("payload-name", message, f"name {file.name!r}", _RENAME, str(file.path))
        elif not file.present:
            yield _missing(patient, file)
        elif file.name in MADE_FROM_LOG:
            # It is sent as the log has it, whatever an SDK has written here.
            continue
        elif file.size == 0:
            message = f"The file {file.name} is empty."
            yield Finding(
                "payload-empty", message, f"{file.path}: 0 bytes", "nothing, if it is meant to be", str(file.path)
            )
        else:
            yield from _too_large(patient, file)
            yield from _changed(patient, file)
    for artifact in patient.run.artifacts:
        for place in artifact.missing:
            message = f"A content of the artifact {artifact.name} is nowhere on this machine."
            seen = "has other content now" if place.is_file() else "is not there"
            evidence = f"{place} {seen}; looked in the staging folders, the caches and the run's files as well"
            yield Finding("payload-missing", message, evidence, _BRING_BACK, str(place))


def _missing(patient: Patient, file: LoggedFile) -> Finding:
    message, remedy = f"The run saved {file.name}, which is gone.", _BRING_BACK
    evidence = f"nothing at {file.path}"
    if file.link is not None:
        evidence = f"{file.path} is a link to {file.link}, where nothing is"
        again = found_again(file.path.parent / file.link, patient.directory.path.parent)
        if again is not None:
            message = f"The run saved {file.name}, which was moved."
            evidence += f"; {again} has the same name"
            remedy = command("ln", "-sfn", again, file.path)
    return Finding("payload-missing", message, evidence, remedy, str(file.path))


def _rows(patient: Patient) -> Iterator[Finding]:
    """What of the log no server takes."""
    for item in patient.run.set_aside[:_MOST_ROWS]:
        message = "A row or value of the log is none that a server takes; all others are sent, and the log keeps it."
        yield Finding("row-refused", message, f"{item.what}: {item.reason}", _KEEP, str(patient.run.log))


def _why_refused(name: str) -> str | None:
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "it leads out of the run's folder"
    if any(character < " " or character == "\\" for character in name):
        return "it has control characters or backslashes"
    if len(name.encode(errors="replace")) > _LONGEST_NAME:
        return f"it is longer than {_LONGEST_NAME} bytes"
    return None


def _too_large(patient: Patient, file: LoggedFile) -> Iterator[Finding]:
    if file.size is not None and file.size > _LARGEST_FILE:
        message = (
            f"The file {file.name} is larger than a server takes in one request (5 GiB); an artifact goes in parts."
        )
        remedy = sync("--exclude", file.name, patient.directory.path)
        yield Finding("payload-too-large", message, f"{file.path}: {file.size} bytes", remedy, str(file.path))


def _changed(patient: Patient, file: LoggedFile) -> Iterator[Finding]:
    """What a destination acknowledged under this name was of another size or digest; or the job had ended by then."""
    ended, sent_before = patient.run.log.stat().st_mtime, False
    for to, known in patient.ledger.items():
        sent = known.files.get(file.name)
        if sent is None:
            continue
        sent_before = True
        now = digest_of(Payload(file.name, file.path))
        if now != sent:
            message = f"The file {file.name} has changed since it was sent."
            evidence = f"sent to {to}: {sent.size} bytes, MD5 {sent.md5}; now {now.size} bytes, MD5 {now.md5}"
            yield Finding("payload-changed", message, evidence, sync("--force", patient.directory.path), str(file.path))
    if file.link is None or patient.recording or sent_before:
        return
    # A copy of a run has times of its own, but no links that lead anywhere.
    changed = file.path.stat().st_mtime
    if changed > ended + _SLOW_END:
        message = f"The file {file.name} has changed since the run ended; it is sent as it is now."
        evidence = f"{file.link} changed {changed - ended:.0f} s after the log's last record"
        yield Finding("payload-changed", message, evidence, sync(patient.directory.path), str(file.path))
