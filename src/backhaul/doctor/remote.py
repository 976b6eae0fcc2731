"""Runs that the ledger, or W&B's marker, calls sent: does the server have them, and have them whole?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from backhaul.doctor.finding import Finding
from backhaul.errors import BackhaulError, NotFound, VerificationFailed
from backhaul.runs.directory import RunDirectory
from backhaul.runs.inspect import inspect
from backhaul.runs.open_files import files_open_for_writing
from backhaul.sync.connection import Connection
from backhaul.sync.door import confirm
from backhaul.sync.ledger import read_ledger
from backhaul.sync.outcome import Outcome
from backhaul.sync.progress import Progress
from backhaul.sync.verify import Difference, Kind

_RUNS_AT_ONCE = 4
_DIFFERENCES_TOLD = 3
_MESSAGES = {
    Kind.LESS: ("remote-less", "The server does not have all of this run.", "backhaul sync {path}"),
    Kind.MORE: (
        "remote-more",
        "The server has more lines of this run than the log: somebody else writes to it, or it went on elsewhere.",
        "backhaul sync --id NEW {path}, if it is another run",
    ),
    Kind.OTHER: ("remote-other", "The server holds other content under this run id.", "backhaul sync --id NEW {path}"),
    Kind.STATE: ("remote-state", "The run has ended, and the server takes it for running.", "backhaul sync {path}"),
}


async def look(directories: Iterable[RunDirectory], there: Connection, state_folder: Path) -> list[Finding]:
    """What is wrong with runs that should be there, found as `backhaul verify` finds it; nothing is sent.

    A run that is all there gets its receipt, and one that is not no longer counts as verified.
    """
    recording = files_open_for_writing()
    asked = [
        directory
        for directory in directories
        if str(directory.log.resolve()) not in recording and _should_be_there(directory, there, state_folder)
    ]
    report = await confirm(asked, there, jobs=_RUNS_AT_ONCE)
    pairs = zip(asked, report.runs, strict=True)
    return [finding for directory, outcome in pairs for finding in _findings(directory, outcome)]


def _should_be_there(directory: RunDirectory, there: Connection, state_folder: Path) -> bool:
    try:
        identity = inspect(directory).identity
    except BackhaulError:
        # The log's own check tells it.
        return False
    known = read_ledger(directory.log, state_folder).get(there.destination.key(identity), Progress())
    return known.begun or directory.synced_marker.exists()


def _findings(directory: RunDirectory, outcome: Outcome) -> Iterator[Finding]:
    path, error = str(directory.path), outcome.error
    if isinstance(error, NotFound) or any(difference.what == "run" for difference in outcome.differences):
        message = "The run was sent, and the server does not have it."
        yield Finding("remote-missing", message, _evidence(directory, error), f"backhaul sync {path}", path)
        return
    for kind, (code, message, remedy) in _MESSAGES.items():
        if found := [difference for difference in outcome.differences if difference.kind is kind]:
            yield Finding(code, message, _told(found, directory), remedy.format(path=path), path)
    if error is not None and not outcome.differences and not isinstance(error, VerificationFailed):
        yield Finding(error.code, error.message, str(directory.log), error.next, path)


def _told(found: list[Difference], directory: RunDirectory) -> str:
    more = f" and {len(found) - _DIFFERENCES_TOLD} more" if len(found) > _DIFFERENCES_TOLD else ""
    return "; ".join(map(str, found[:_DIFFERENCES_TOLD])) + more + _marker(directory)


def _evidence(directory: RunDirectory, error: BackhaulError | None) -> str:
    return f"{error.message if error else 'no such run'}{_marker(directory)}"


def _marker(directory: RunDirectory) -> str:
    return f"; {directory.synced_marker.name} says that it is synced" if directory.synced_marker.exists() else ""
