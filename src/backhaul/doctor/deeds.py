"""Findings by what is to be done: a remedy that mends many things is told once."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backhaul.doctor.finding import Finding, Severity
from backhaul.doctor.remedy import PATH, command

# The id in a remedy is a proposal; the deed is the same for every run.
_ID = re.compile(r"(?<=--id )\S+")
# What may be done to a whole folder: it takes each run below it for itself, and does no more to those that are well.
_FOR_FOLDERS = (
    ["backhaul", "sync"], ["backhaul", "verify"], ["backhaul", "clean", "--dry-run"], ["backhaul", "doctor", "--fix"],
)  # fmt: skip
_MENDED = "mended"


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing to do, in the words of `heading`, and all the findings that it mends."""

    heading: str
    findings: Sequence[Finding]

    def place_of(self, finding: Finding) -> str | None:
        """What of a finding belongs below the heading: its command, where the heading is none that can be typed."""
        typed = self.heading in (_MENDED, finding.remedy) or "PATH" not in self.heading
        return finding.path if typed else finding.remedy


def deeds_of(findings: Iterable[Finding]) -> list[Deed]:
    """The deeds, those first that mend the worst; what is mended already stands under its own heading."""
    alike: dict[str, list[Finding]] = {}
    for finding in sorted(findings, key=lambda finding: list(Severity).index(finding.severity)):
        kind = _MENDED if finding.fixed else _ID.sub("ID", PATH.sub("PATH", finding.remedy))
        alike.setdefault(kind, []).append(finding)
    return [Deed(_heading(kind, of_kind), of_kind) for kind, of_kind in alike.items()]


def _heading(kind: str, findings: Sequence[Finding]) -> str:
    """The command that does it for all of them, if there is one, else with PATH for what differs."""
    remedies = {finding.remedy for finding in findings}
    if kind == _MENDED or len(remedies) > 1:
        return kind if kind == _MENDED else _for_folder(remedies) or kind
    return remedies.pop()


def _for_folder(remedies: Iterable[str]) -> str | None:
    words = [shlex.split(remedy) for remedy in remedies]
    if any(each[:-1] not in _FOR_FOLDERS for each in words):
        return None
    common = os.path.commonpath([each[-1] for each in words])
    return command(*words[0][:-1], common) if len(common) > 1 else None
