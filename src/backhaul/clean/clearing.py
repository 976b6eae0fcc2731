"""Which runs may go, by ledger, receipt, the bytes that lie here, and the destination, asked again; then they go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from backhaul.clean.evidence import Evidence, check_contents, evidence_for
from backhaul.clean.removal import finish, unfinished, withdraw
from backhaul.clean.verdict import Fate, Verdict
from backhaul.errors import BackhaulError, NotProven, TemporaryError
from backhaul.runs.directory import RunDirectory
from backhaul.runs.inspect import inspect
from backhaul.sync.audit import audit_runs
from backhaul.sync.carried import CARRIED
from backhaul.sync.destination import Destination
from backhaul.sync.ledger import Ledger, read_ledger
from backhaul.sync.mishap import told
from backhaul.sync.options import SyncOptions
from backhaul.sync.outcome import Outcome, RunState
from backhaul.sync.progress import LogStamp, Progress
from backhaul.sync.reporter import Reporter
from backhaul.wire.server import Server


async def judge(
    directories: Iterable[RunDirectory],
    *,
    server: Server,
    destination: Destination,
    options: SyncOptions,
    reporter: Reporter | None = None,
    deep: bool = False,
) -> list[Verdict]:
    """The verdict on each run: proven, or kept with the reason. Nothing is deleted.

    The destination is asked for runs that have a receipt of this user's own, as `audit_runs` asks it: the other parts
    of the same run belong to the question. With `deep` every history row is read back.
    """
    verdicts = [await asyncio.to_thread(_by_the_ledger, each, destination, options) for each in directories]
    hopeful = {verdict.to for verdict in verdicts if verdict.fate is Fate.PROVEN}
    asked = [verdict.directory for verdict in verdicts if verdict.to in hopeful]
    outcomes = await audit_runs(
        asked, server=server, destination=destination, options=options, reporter=reporter, deep=deep
    )
    found = {directory.log: outcome for directory, outcome in zip(asked, outcomes, strict=True)}
    return [
        await asyncio.to_thread(_after_asking, verdict, found[verdict.directory.log], options)
        if verdict.fate is Fate.PROVEN
        else verdict
        for verdict in verdicts
    ]


def judge_by_carried_receipts(directories: Iterable[RunDirectory], options: SyncOptions) -> list[Verdict]:
    """The verdict on each run by a receipt that was carried here alone: no destination can be asked from this side."""
    return [_by_a_carried_receipt(directory, options) for directory in directories]


def clear(verdicts: Sequence[Verdict], options: SyncOptions) -> list[Verdict]:
    """Delete what is proven, once its evidence has been looked at again; each run's fate after that."""
    return [_cleared(verdict, options) if verdict.fate is Fate.PROVEN else verdict for verdict in verdicts]


def finish_interrupted(folders: Iterable[Path]) -> list[Path]:
    """Bring the deletions that an interrupted cleaning left in `folders` to their end. Raises TemporaryError."""
    left = [path for folder in dict.fromkeys(folders) for path in unfinished(folder)]
    for path in left:
        try:
            finish(path)
        except OSError as error:
            raise _not_all(path, error) from error
    return left


def _by_the_ledger(directory: RunDirectory, destination: Destination, options: SyncOptions) -> Verdict:
    verdict = Verdict(directory, Fate.KEPT, directory.run_id_hint)
    try:
        identity = inspect(directory).identity
        key = destination.key(identity)
        verdict = replace(verdict, run_id=destination.run_id_of(identity), to=key)
        ledger = read_ledger(directory.log, options.state_folder)
        evidence = evidence_for(directory, ledger.get(key, Progress()), options.state_folder)
        # Before the destination is asked: that makes a new receipt, which is true to whatever lies here by then.
        check_contents(evidence)
    except (BackhaulError, OSError) as error:
        return replace(verdict, error=told(error))
    return _proven(verdict, evidence)


def _by_a_carried_receipt(directory: RunDirectory, options: SyncOptions) -> Verdict:
    verdict = Verdict(directory, Fate.KEPT, directory.run_id_hint)
    try:
        verdict = replace(verdict, run_id=inspect(directory).identity.run_id)
        stamp = LogStamp.of(directory.log)
        for to, known in read_ledger(directory.log, options.state_folder).items():
            if known.verified == stamp and known.receipt is not None:
                evidence = evidence_for(directory, known, options.state_folder)
                if CARRIED in evidence.receipt.document:
                    check_contents(evidence)
                    return _proven(replace(verdict, to=to), evidence)
        raise NotProven("No receipt of this run, as it is now, was carried here.", next=_IMPORT)
    except (BackhaulError, OSError) as error:
        return replace(verdict, error=told(error))


_IMPORT = "Bring the receipt that the sync on the other side wrote, and run `backhaul receipt import` on it."


def _proven(verdict: Verdict, evidence: Evidence) -> Verdict:
    return replace(
        verdict,
        fate=Fate.PROVEN,
        frees=evidence.extent.frees,
        receipt=evidence.receipt.path,
        log_digest=evidence.log_digest,
    )


def _after_asking(verdict: Verdict, outcome: Outcome, options: SyncOptions) -> Verdict:
    if outcome.state is not RunState.VERIFIED or outcome.error is not None:
        error = outcome.error or NotProven("Not all of it is at the destination.")
        return replace(verdict, fate=Fate.KEPT, error=error)
    try:
        known = read_ledger(verdict.directory.log, options.state_folder).get(verdict.to, Progress())
        evidence = evidence_for(verdict.directory, known, options.state_folder)
        if evidence.log_digest != verdict.log_digest:
            raise NotProven("The log has changed while it was looked at.")
    except BackhaulError as error:
        return replace(verdict, fate=Fate.KEPT, error=error)
    return replace(verdict, receipt=evidence.receipt.path)


def _cleared(verdict: Verdict, options: SyncOptions) -> Verdict:
    directory, state_folder = verdict.directory, options.state_folder
    try:
        with Ledger.open(directory.log, state_folder) as ledger:
            evidence = evidence_for(directory, ledger.progress(verdict.to), state_folder)
            check_contents(evidence)
            if evidence.log_digest != verdict.log_digest:
                raise NotProven("The log has changed since it was asked for.")
            doomed = withdraw(directory, evidence.extent)
    except (BackhaulError, OSError) as error:
        return replace(verdict, fate=Fate.KEPT, error=told(error))
    try:
        finish(doomed)
    except OSError as error:
        return replace(verdict, fate=Fate.KEPT, error=_not_all(doomed, error))
    return replace(verdict, fate=Fate.DELETED)


def _not_all(doomed: Path, error: OSError) -> TemporaryError:
    return TemporaryError(
        f"{doomed} could not be deleted whole: {error.strerror or error}.",
        safe="All of the run is at the destination, and the receipt is kept.",
        next="Mend that, then run the same command again: it goes on with this directory.",
    )
