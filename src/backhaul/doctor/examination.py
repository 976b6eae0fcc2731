"""One visit: every check over every run, then the mending of what is provably safe to mend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from backhaul.doctor.checks import client_logs, disk, locks, log, markers, metadata, payloads, switches, versions
from backhaul.doctor.finding import Finding
from backhaul.doctor.patient import Patient, Surroundings
from backhaul.errors import BackhaulError
from backhaul.runs.directory import RunDirectory
from backhaul.runs.local_run import LocalRun
from backhaul.runs.open_files import files_open_for_writing
from backhaul.sync.ledger import read_ledger
from backhaul.wandblog import LogEnd

_OF_A_RUN: tuple[Callable[[Patient], Iterator[Finding]], ...] = (
    log.check,
    markers.check,
    metadata.check,
    payloads.check,
)
_OF_THE_SURROUNDINGS: tuple[Callable[[Surroundings], Iterator[Finding]], ...] = (
    locks.check,
    switches.check,
    versions.check,
    disk.check,
    client_logs.check,
)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found over `runs` run directories."""

    runs: int
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """0 when nothing keeps a run from going home or all of it was mended, else 9; notes do not count."""
        return 9 if any(finding.severity != "note" and not finding.fixed for finding in self.findings) else 0


def examine(
    directories: Iterable[RunDirectory], surroundings: Surroundings, state_folder: Path, *, fix: bool = False
) -> Diagnosis:
    """Every finding about these runs and what is around them; with `fix`, what is provably safe is mended.

    Reads each log whole. Nothing in a run directory is ever changed but leftover lock files, and those only with `fix`.
    """
    recording = files_open_for_writing()
    found: list[Finding] = []
    runs = 0
    for directory in directories:
        runs += 1
        found += _of_run(directory, state_folder, recording)
    for look in _OF_THE_SURROUNDINGS:
        found += look(surroundings)
    return Diagnosis(runs, tuple(_mended(finding) if fix else finding for finding in found))


def _of_run(directory: RunDirectory, state_folder: Path, recording: frozenset[str]) -> Iterator[Finding]:
    is_recording = str(directory.log.resolve()) in recording
    try:
        patient = Patient(directory, LocalRun(directory), is_recording, read_ledger(directory.log, state_folder))
        if patient.run.end in (LogEnd.EMPTY, LogEnd.HEADER_ONLY) and not is_recording:
            message = "The log holds no record: the job was killed before the first block reached the disk."
            evidence = f"{directory.log}: {directory.log.stat().st_size} bytes"
            remedy = f"backhaul repair {directory.path} makes a run of what its files folder still has"
            yield Finding("empty-log", message, evidence, remedy, str(directory.log))
            return
        for look in _OF_A_RUN:
            yield from look(patient)
    except BackhaulError as error:
        # One run that cannot be read never hides what is found about the others.
        yield Finding(error.code, error.message, str(directory.log), error.next, str(directory.log))


def _mended(finding: Finding) -> Finding:
    if finding.fix is None:
        return finding
    try:
        finding.fix()
    except OSError as error:
        return replace(finding, evidence=f"{finding.evidence}; it could not be mended: {error.strerror or error}")
    return replace(finding, fixed=True)
