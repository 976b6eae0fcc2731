"""One visit: every check over every run, then the mending of what is provably safe to mend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from backhaul.doctor.checks import (
    cleanable,
    client_logs,
    disk,
    locks,
    log,
    markers,
    metadata,
    payloads,
    switches,
    versions,
)
from backhaul.doctor.diagnosis import Condition, Diagnosis, ToSend, condition_of
from backhaul.doctor.finding import Finding
from backhaul.doctor.patient import Patient, Surroundings
from backhaul.errors import BackhaulError
from backhaul.runs.directory import RunDirectory
from backhaul.runs.local_run import LocalRun
from backhaul.runs.open_files import files_open_for_writing
from backhaul.sync.ledger import read_ledger
from backhaul.sync.mishap import told
from backhaul.wandblog import LogEnd

_OF_A_RUN: tuple[Callable[[Patient], Iterator[Finding]], ...] = (
    log.check,
    markers.check,
    metadata.check,
    payloads.check,
    cleanable.check,
)
_OF_THE_SURROUNDINGS: tuple[Callable[[Surroundings], Iterator[Finding]], ...] = (
    locks.check,
    switches.check,
    versions.check,
    disk.check,
    client_logs.check,
)


def examine(
    directories: Iterable[RunDirectory],
    surroundings: Surroundings,
    state_folder: Path,
    *,
    fix: bool = False,
    remote: Sequence[Finding] = (),
) -> Diagnosis:
    """Every finding about these runs and what is around them; with `fix`, what is provably safe is mended.

    Reads each log whole. Nothing in a run directory is ever changed but leftover lock files, and those only with `fix`.
    `remote` is what the server has told of them already.
    """
    written, listed = files_open_for_writing(), list(directories)
    recording = tuple(directory for directory in listed if str(directory.log.resolve()) in written)
    found, conditions, to_send = list(remote), list[Condition](), ToSend()
    for directory in listed:
        patient, findings = _of_run(directory, state_folder, recording=directory in recording)
        asked = [finding for finding in remote if finding.path == str(directory.path)]
        if asked:
            # The server was asked, and that says more than that nobody has asked it.
            findings = [finding for finding in findings if finding.code != "marked-not-proven"]
        conditions.append(condition_of(patient, [*findings, *asked]))
        if patient is not None and conditions[-1] is not Condition.VERIFIED:
            to_send.add(patient)
        found += findings
    for look in _OF_THE_SURROUNDINGS:
        found += look(replace(surroundings, recording=recording))
    return Diagnosis(tuple(conditions), tuple(_mended(finding) if fix else finding for finding in found), to_send)


def _of_run(directory: RunDirectory, state_folder: Path, *, recording: bool) -> tuple[Patient | None, list[Finding]]:
    """The run, None when its log gives nothing, and what is found about it."""
    findings: list[Finding] = []
    try:
        ledger = read_ledger(directory.log, state_folder)
        patient = Patient(directory, LocalRun(directory), recording, ledger, state_folder)
        if patient.run.end in (LogEnd.EMPTY, LogEnd.HEADER_ONLY) and not recording:
            return None, [_nothing_in_it(directory)]
        for look in _OF_A_RUN:
            findings += look(patient)
    except (BackhaulError, OSError) as failure:
        # One run that cannot be read never hides what is found about the others.
        error = told(failure)
        return None, [*findings, Finding(error.code, error.message, str(directory.log), error.next, str(directory.log))]
    return patient, findings


def _nothing_in_it(directory: RunDirectory) -> Finding:
    message = "The log holds no record: the job was killed before the first block reached the disk."
    evidence = f"{directory.log}: {directory.log.stat().st_size} bytes"
    remedy = f"backhaul repair {directory.path} makes a run of what its files folder still has"
    return Finding("empty-log", message, evidence, remedy, str(directory.log))


def _mended(finding: Finding) -> Finding:
    if finding.fix is None:
        return finding
    try:
        finding.fix()
    except OSError as error:
        return replace(finding, evidence=f"{finding.evidence}; it could not be mended: {error.strerror or error}")
    return replace(finding, fixed=True)
