"""What a sync would do, without the network: the log's own lines and files against the ledger."""

from __future__ import annotations

from pathlib import Path

from backhaul.errors import PayloadMissing
from backhaul.runs.inspect import Inspection
from backhaul.runs.payloads import recorded_payloads
from backhaul.runs.roots import AS_RECORDED, Roots
from backhaul.sync.batch import BatchMaker
from backhaul.sync.console_text import ConsoleText
from backhaul.sync.destination import Destination
from backhaul.sync.ledger import read_ledger
from backhaul.sync.outcome import Outcome, Quarantined, RunState
from backhaul.sync.progress import LogStamp, Progress


def plan_fragment(run: Inspection, destination: Destination, state_folder: Path, roots: Roots = AS_RECORDED) -> Outcome:
    """The outcome as it stands before anything is sent: lines here, lines acknowledged, files, what is missing.

    Reads the whole log. Raises what reading it raises.
    """
    known = read_ledger(run.directory.log, state_folder)
    progress = known.get(destination.key(run.identity), Progress())
    outcome = Outcome.at(destination, run)
    outcome.remote = progress.lines
    outcome.files_remote, outcome.artifacts_remote = len(progress.files), len(progress.artifacts)
    outcome.receipt = progress.receipt
    if progress.verified == LogStamp.of(run.directory.log):
        outcome.state = RunState.VERIFIED
    _read(run, outcome, roots)
    return outcome


def _read(run: Inspection, outcome: Outcome, roots: Roots) -> None:
    with ConsoleText() as console_text:
        maker = BatchMaker(
            run.directory.log, run.identity, structured=False, starting_step=0, console_text=console_text
        )
        while (batch := maker.next()) is not None:
            outcome.local = batch.next
    outcome.damage = maker.reader.damage
    rows = maker.rows
    outcome.artifacts_local = len(rows.artifacts)
    files, on_disk = run.directory.files, rows.recorded_by_python_engine
    for payload in recorded_payloads(files, rows.files, all_on_disk=on_disk, roots=roots):
        if isinstance(payload, PayloadMissing):
            outcome.quarantined.append(Quarantined("file", payload.message, payload.next))
        else:
            outcome.files_local += 1
