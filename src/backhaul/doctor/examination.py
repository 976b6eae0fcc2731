"""One visit: every check over every run, then the mending of what is provably safe to mend."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

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
from backhaul.doctor.checks.log import first_bytes
from backhaul.doctor.diagnosis import Condition, Diagnosis, ToSend, condition_of
from backhaul.doctor.file_system import is_shared
from backhaul.doctor.finding import Finding
from backhaul.doctor.patient import Patient, Surroundings
from backhaul.errors import BackhaulError, NotAWandbLog
from backhaul.runs.directory import RunDirectory
from backhaul.runs.life import Life, life_of
from backhaul.runs.local_run import LocalRun
from backhaul.sync.ledger import read_ledger
from backhaul.sync.mishap import told
from backhaul.sync.progress import LogStamp
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
_WITHOUT_RECORDS = (LogEnd.EMPTY, LogEnd.HEADER_ONLY)


def examine(
    directories: Sequence[RunDirectory],
    surroundings: Surroundings,
    *,
    fix: bool = False,
    remote: Sequence[Finding] = (),
) -> Diagnosis:
    """Every finding about these runs and what is around them; with `fix`, what is provably safe is mended.

    Reads each log whole. Nothing in a run directory is ever changed but leftover lock files, and those only with `fix`.
    `remote` is what the server has told of them already.
    """
    asked: dict[str | None, list[Finding]] = {}
    for finding in remote:
        asked.setdefault(finding.path, []).append(finding)
    of_runs = {str(directory.path) for directory in directories}
    found = [finding for finding in remote if finding.path not in of_runs]
    conditions, to_send = list[Condition](), ToSend()
    patients: list[Patient] = []
    for directory in directories:
        patient, findings = _of_run(directory, surroundings)
        findings = _with_remote(patient, findings, asked.get(str(directory.path), []))
        conditions.append(condition_of(patient, findings))
        found += findings
        if patient is not None:
            patients.append(patient)
            if conditions[-1] is not Condition.VERIFIED and patient.run.end not in _WITHOUT_RECORDS:
                to_send.add(patient)
    around = _with_runs(surroundings, patients)
    for look in _OF_THE_SURROUNDINGS:
        found += look(around)
    return Diagnosis(tuple(conditions), tuple(_mended(finding) if fix else finding for finding in found), to_send)


def _with_remote(patient: Patient | None, findings: list[Finding], remote: Sequence[Finding]) -> list[Finding]:
    """What is found here and there. That a run that goes on is not all there yet, nor ended, is no finding."""
    if not remote or (patient is not None and patient.recording):
        return findings
    # The server was asked, and that says more than that nobody has asked it.
    return [*remote, *(finding for finding in findings if finding.code != "marked-not-proven")]


def _with_runs(surroundings: Surroundings, patients: Sequence[Patient]) -> Surroundings:
    return replace(
        surroundings,
        recording=tuple(patient.directory for patient in patients if patient.recording),
        writers=frozenset(patient.run.sdk_version for patient in patients if patient.run.sdk_version),
    )


def _of_run(directory: RunDirectory, surroundings: Surroundings) -> tuple[Patient | None, list[Finding]]:
    """The run, None when its log gives nothing, and what is found about it."""
    findings: list[Finding] = []
    try:
        stamp, ledger = LogStamp.of(directory.log), read_ledger(directory.log, surroundings.state_folder)
        run = LocalRun(directory)
        life = _life(directory, run, surroundings)
        patient = Patient(directory, run, stamp, life, ledger, surroundings.open_files, surroundings.state_folder)
        for look in _OF_A_RUN:
            findings += look(patient)
    except (BackhaulError, OSError) as failure:
        # One run that cannot be read never hides what is found about the others.
        return None, [*findings, _unreadable(directory, told(failure))]
    return patient, findings


def _life(directory: RunDirectory, run: LocalRun, surroundings: Surroundings) -> Life:
    if run.end is LogEnd.COMPLETE:
        return Life(False, "")
    if run.end in _WITHOUT_RECORDS and is_shared(directory.log):
        # It does not say on which host it is written.
        return life_of(directory, "", run.log.stat().st_mtime, now=time.time(), written=surroundings.open_files.written)
    host, started = run.identity.host, run.identity.start_time
    return life_of(directory, host, started, now=time.time(), written=surroundings.open_files.written)


def _unreadable(directory: RunDirectory, error: BackhaulError) -> Finding:
    seen = f"{directory.log}: {first_bytes(directory.log)}" if isinstance(error, NotAWandbLog) else str(directory.log)
    return Finding(error.code, error.message, seen, error.next, str(directory.log))


def _mended(finding: Finding) -> Finding:
    if finding.fix is None:
        return finding
    try:
        finding.fix()
    except OSError as error:
        return replace(finding, evidence=f"{finding.evidence}; it could not be mended: {error.strerror or error}")
    return replace(finding, fixed=True)
