"""What a check reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How bad a finding is: data is lost or cannot go home; it will not go home by itself; worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


SEVERITIES: dict[str, Severity] = {
    "empty-log": Severity.ERROR,
    "not-a-wandb-log": Severity.ERROR,
    "unreadable-file": Severity.ERROR,
    "log-damaged": Severity.ERROR,
    "log-torn": Severity.WARNING,
    "no-exit-record": Severity.WARNING,
    "no-run-record": Severity.WARNING,
    "newer-log": Severity.WARNING,
    "lossy-sdk": Severity.WARNING,
    "still-recording": Severity.NOTE,
    "payload-missing": Severity.ERROR,
    "payload-empty": Severity.NOTE,
    "payload-changed": Severity.WARNING,
    "payload-too-large": Severity.ERROR,
    "payload-name": Severity.ERROR,
    "row-refused": Severity.WARNING,
    "metadata-refused": Severity.ERROR,
    "marked-not-proven": Severity.WARNING,
    "remote-missing": Severity.WARNING,
    "remote-less": Severity.WARNING,
    "remote-more": Severity.WARNING,
    "remote-other": Severity.ERROR,
    "remote-state": Severity.WARNING,
    "can-be-cleaned": Severity.NOTE,
    "client-state": Severity.NOTE,
    "leftover-lock": Severity.WARNING,
    "lock-held": Severity.NOTE,
    "offline-switch": Severity.NOTE,
    "other-host": Severity.WARNING,
    "clock-skew": Severity.WARNING,
    "rate-limited": Severity.WARNING,
    "tls-intercepted": Severity.NOTE,
    "client-log": Severity.NOTE,
    "disk-filling": Severity.WARNING,
    "large-cache": Severity.NOTE,
    "sdk-differs": Severity.NOTE,
    "removed-option": Severity.WARNING,
}
"""Every code that a check may report. A code that is also an error's means the same thing and has the same page."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that keeps runs from going home, or that a user should know.

    `message` says what is wrong in one sentence, `evidence` shows what was seen (bytes, a line, an answer), `remedy` is
    one command, or one deed where no command does it. `path` is what it is about, None for the machine as a whole.
    `fix` mends it, where that is provably safe; it raises OSError when it cannot. `fixed` says that it did.
    """

    code: str
    message: str
    evidence: str
    remedy: str
    path: str | None = None
    fix: Callable[[], None] | None = field(default=None, compare=False, repr=False)
    fixed: bool = False

    @property
    def severity(self) -> Severity:
        """How bad findings of this code are."""
        return SEVERITIES.get(self.code, Severity.ERROR)

    def as_json(self) -> dict[str, Any]:
        """The form in `--json`."""
        return {
            "code": self.code,
            "severity": str(self.severity),
            "path": self.path,
            "message": self.message,
            "evidence": self.evidence,
            "remedy": self.remedy,
            "fixable": self.fix is not None,
            "fixed": self.fixed,
        }
