"""Runs and the server: does it have those that were sent, does it have them whole, and whose are the others' ids?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from backhaul.doctor.finding import Finding
from backhaul.doctor.remedy import sync
from backhaul.errors import BackhaulError, LogDamaged, NotFound, RemoteConflict, VerificationFailed
from backhaul.runs.directory import RunDirectory
from backhaul.runs.inspect import inspect
from backhaul.runs.open_files import OpenFiles
from backhaul.sync.connection import Connection
from backhaul.sync.door import confirm
from backhaul.sync.ledger import read_ledger
from backhaul.sync.outcome import Outcome
from backhaul.sync.progress import LogStamp
from backhaul.sync.retry import Patience
from backhaul.sync.state_folder import state_folder
from backhaul.sync.verify import Difference, Kind

_RUNS_AT_ONCE = 4
_DIFFERENCES_TOLD = 3
# The way was just found open: whoever asks the doctor wants to know now what is in trouble.
_PATIENCE = Patience(unreachable=3, in_trouble=20)
_MESSAGES = {
    Kind.LESS: ("remote-less", "The server does not have all of this run."),
    Kind.MORE: (
        "remote-more",
        "The server has more lines of this run than the log: somebody else writes to it, or it went on elsewhere.",
    ),
    Kind.OTHER: ("remote-other", "The server holds other content under this run id."),
    Kind.STATE: ("remote-state", "The run has ended, and the server takes it for running."),
}
# What no sync mends under this id.
_TAKEN = frozenset({Kind.MORE, Kind.OTHER})


async def look(directories: Iterable[RunDirectory], there: Connection, open_files: OpenFiles) -> list[Finding]:
    """What is wrong with runs on the server, found as `backhaul verify` finds it; nothing is sent.

    A run that is all there gets its receipt, whoever sent it, and one that is not no longer counts as verified. That a
    run is not there is a finding only when it should be, by the ledger or W&B's marker.
    """
    known = {directory: ledger for directory in directories if (ledger := _known(directory, there)) is not None}
    asked = [directory for directory in known if not open_files.is_written(directory.log)]
    report = await confirm(asked, there, jobs=_RUNS_AT_ONCE, patience=_PATIENCE)
    pairs = zip(asked, report.runs, strict=True)
    return [finding for directory, outcome in pairs for finding in _findings(directory, outcome, known[directory])]


@dataclass(frozen=True, slots=True)
class _Known:
    """What the ledger says of a run: whether this destination has begun with it, whether another one has it proved."""

    begun: bool
    is_home_elsewhere: bool


def _known(directory: RunDirectory, there: Connection) -> _Known | None:
    """What the ledger knows; None for a log that cannot be read, which its own check tells."""
    try:
        key, stamp = there.destination.key(inspect(directory).identity), LogStamp.of(directory.log)
    except (BackhaulError, OSError):
        return None
    ledger = read_ledger(directory.log, state_folder())
    elsewhere = any(to != key and known.verified == stamp for to, known in ledger.items())
    return _Known(key in ledger and ledger[key].begun, elsewhere)


def _findings(directory: RunDirectory, outcome: Outcome, known: _Known) -> Iterator[Finding]:
    path, error = str(directory.path), outcome.error
    if isinstance(error, NotFound) or any(difference.what == "run" for difference in outcome.differences):
        yield from _missing(directory, outcome, known)
        return
    for kind, (code, message) in _MESSAGES.items():
        if found := [difference for difference in outcome.differences if difference.kind is kind]:
            remedy = _as_another(directory, outcome) if kind in _TAKEN else sync(directory.path)
            yield Finding(code, message, _told(found, directory), remedy, path)
    if isinstance(error, RemoteConflict):
        code, message = _MESSAGES[Kind.OTHER]
        yield Finding(code, message, error.message, _as_another(directory, outcome), path)
    elif error is not None and not outcome.differences and not isinstance(error, VerificationFailed | LogDamaged):
        yield Finding(error.code, error.message, str(directory.log), error.next, path)


def _missing(directory: RunDirectory, outcome: Outcome, known: _Known) -> Iterator[Finding]:
    path, evidence = str(directory.path), f"{_words(outcome)}{_marker(directory)}"
    if known.begun:
        message = "The server had this run and no longer has it: it was deleted there, and its id is never taken again."
        evidence = f"the ledger has what the server acknowledged; {evidence}"
        yield Finding("remote-missing", message, evidence, _as_another(directory, outcome), path)
    elif directory.synced_marker.exists() and not known.is_home_elsewhere:
        message = "The run is marked as synced, and the server does not have it."
        yield Finding("remote-missing", message, evidence, sync(directory.path), path)


def _as_another(directory: RunDirectory, outcome: Outcome) -> str:
    return sync("--id", f"{outcome.run_id}-2", directory.path)


def _words(outcome: Outcome) -> str:
    return (
        outcome.error.message.rstrip(".") if outcome.error is not None else "The server says that there is no such run."
    )


def _told(found: list[Difference], directory: RunDirectory) -> str:
    more = f" and {len(found) - _DIFFERENCES_TOLD} more" if len(found) > _DIFFERENCES_TOLD else ""
    return "; ".join(map(str, found[:_DIFFERENCES_TOLD])) + more + _marker(directory)


def _marker(directory: RunDirectory) -> str:
    return f"; {directory.synced_marker.name} says that it is synced" if directory.synced_marker.exists() else ""
