"""Backhaul brings offline Weights & Biases runs home: every run, every row, with proof.

The Python API reads a run as it lies on disk, without a server and without the wandb package; it brings runs to a
server, and asks one what it holds::

    import backhaul

    run = backhaul.open_run("wandb/latest-run")
    run.config, run.summary, run.state          # what the run is
    for row in run.history(): ...               # its rows, in constant memory
    frame = run.to_pandas()                     # or run.to_arrow()
    run.damage, run.end, run.is_complete        # what of the log could not be read

    report = backhaul.sync("wandb", to="depot", on_event=print)
    report.verified, report.exit_code           # is everything there?
    for run in report.runs: ...                 # what came of each: state, lines, files, error, receipt
    backhaul.verify("wandb", deep=True)         # is it there still, row by row? The same kind of report

Damage never raises. What does raise is a `BackhaulError`, which says what happened, what is safe and what to do next.
Only the names in `__all__` are promised; nothing heavy is imported before one of them is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backhaul.errors import BackhaulError
    from backhaul.runs.console import OutputLine
    from backhaul.runs.local_run import LocalRun, open_run
    from backhaul.runs.recorded_files import LoggedArtifact, LoggedFile
    from backhaul.sync.door import sync, verify
    from backhaul.sync.event import Event, EventKind
    from backhaul.sync.outcome import Outcome, RunState
    from backhaul.sync.report import Report
    from backhaul.wandblog import Damage, DamageKind, LogEnd

    __version__: str

__all__ = [
    "BackhaulError",
    "Damage",
    "DamageKind",
    "Event",
    "EventKind",
    "LocalRun",
    "LogEnd",
    "LoggedArtifact",
    "LoggedFile",
    "Outcome",
    "OutputLine",
    "Report",
    "RunState",
    "__version__",
    "open_run",
    "sync",
    "verify",
]

_HOMES = {
    "BackhaulError": "backhaul.errors",
    "Damage": "backhaul.wandblog",
    "DamageKind": "backhaul.wandblog",
    "Event": "backhaul.sync.event",
    "EventKind": "backhaul.sync.event",
    "LocalRun": "backhaul.runs.local_run",
    "LogEnd": "backhaul.wandblog",
    "LoggedArtifact": "backhaul.runs.recorded_files",
    "LoggedFile": "backhaul.runs.recorded_files",
    "Outcome": "backhaul.sync.outcome",
    "OutputLine": "backhaul.runs.console",
    "Report": "backhaul.sync.report",
    "RunState": "backhaul.sync.outcome",
    "open_run": "backhaul.runs.local_run",
    "verify": "backhaul.sync.door",
}


if not TYPE_CHECKING:
    # A checker would take every name for one that is there.
    def __getattr__(name: str) -> Any:
        if name == "__version__":
            from importlib.metadata import version

            return version("backhaul")
        if name == "sync":
            # The package itself, which can be called: the import system binds it here under this name.
            return import_module("backhaul.sync")
        if name not in _HOMES:
            raise AttributeError(f"module 'backhaul' has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        # From now on the name is found without coming here.
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
