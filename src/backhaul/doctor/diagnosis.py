"""What a visit found: the condition of each run, what is still to be sent, and every finding."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from backhaul.doctor.finding import Finding, Severity
from backhaul.doctor.patient import Patient


class Condition(StrEnum):
    """How a run is, in the words of the verdict."""

    VERIFIED = "verified"
    READY = "ready"
    DAMAGED = "damaged but repairable"
    NEEDS_YOU = "waiting for you"
    UNREADABLE = "unreadable"
    RECORDING = "recording"


_UNREADABLE = frozenset({"not-a-wandb-log", "unreadable-file"})
_DAMAGED = frozenset({"empty-log", "log-damaged"})


@dataclass(slots=True)
class ToSend:
    """What no destination has yet: runs, their files (those of artifacts as well), and bytes with the logs'."""

    runs: int = 0
    files: int = 0
    size: int = 0

    def add(self, patient: Patient) -> None:
        """Count a run that is not verified."""
        files = [file.size for file in patient.run.files if file.size is not None]
        artifacts = patient.run.artifacts
        self.runs += 1
        self.files += len(files) + sum(artifact.entries for artifact in artifacts)
        self.size += patient.stamp.size + sum(files) + sum(artifact.size for artifact in artifacts)

    def as_json(self) -> dict[str, int]:
        """The form in `--json`."""
        return {"runs": self.runs, "files": self.files, "bytes": self.size}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The `conditions` of the runs that were looked at, in their order, and what was found."""

    conditions: tuple[Condition, ...]
    findings: tuple[Finding, ...]
    to_send: ToSend = field(default_factory=ToSend)

    @property
    def exit_code(self) -> int:
        """0 when nothing keeps a run from going home or all of it was mended, else 9; notes do not count."""
        return 9 if any(finding.severity != "note" and not finding.fixed for finding in self.findings) else 0

    @property
    def counts(self) -> Counter[Condition]:
        """How many runs there are of each condition."""
        return Counter(self.conditions)

    def as_json(self) -> dict[str, Any]:
        """The document of `--json`, without the way to the server."""
        return {
            "runs": {str(condition): number for condition, number in self.counts.items()},
            "to_send": self.to_send.as_json(),
            "findings": [finding.as_json() for finding in self.findings],
            "exit_code": self.exit_code,
        }


def condition_of(patient: Patient | None, findings: list[Finding]) -> Condition:
    """The condition of a run with these findings; `patient` is None when its log gives nothing."""
    codes = {finding.code for finding in findings}
    if patient is not None and patient.recording:
        return Condition.RECORDING
    if codes & _UNREADABLE:
        return Condition.UNREADABLE
    if codes & _DAMAGED:
        return Condition.DAMAGED
    if "remote-more" in codes or any(finding.severity is Severity.ERROR for finding in findings):
        return Condition.NEEDS_YOU
    return Condition.VERIFIED if patient is not None and patient.verified else Condition.READY
