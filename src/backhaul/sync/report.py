"""What came of a sync as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backhaul.sync.outcome import Outcome, RunState, overall_exit_code


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of every run, in the order of the runs' names; `warnings` are about the user's settings files."""

    runs: tuple[Outcome, ...]
    warnings: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """What the command would end with: 0 only when every run is verified and nothing is quarantined."""
        return overall_exit_code(self.runs)

    @property
    def verified(self) -> bool:
        """Whether every run was read back and equals its log."""
        return all(run.state is RunState.VERIFIED for run in self.runs)

    def as_json(self) -> dict[str, Any]:
        """The document of `--json`."""
        return {"runs": [run.as_json() for run in self.runs], "exit_code": self.exit_code}
