"""What `--dry-run` shows: what the log holds and what the ledger says is there already. No network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backhaul.errors import BackhaulError
from backhaul.runs.directory import RunDirectory
from backhaul.runs.inspect import inspect
from backhaul.runs.roots import AS_RECORDED, Roots
from backhaul.sync.destination import Destination
from backhaul.sync.outcome import Outcome
from backhaul.sync.plan import plan_fragment


def planned(
    directories: Sequence[RunDirectory], destination: Destination, state_folder: Path, roots: Roots = AS_RECORDED
) -> list[Outcome]:
    """One outcome per run as it would begin; runs that cannot be read carry their error."""
    outcomes = []
    for directory in directories:
        try:
            outcomes.append(plan_fragment(inspect(directory), destination, state_folder, roots))
        except BackhaulError as error:
            outcome = Outcome(directory.path, directory.run_id_hint)
            outcome.fail(error)
            outcomes.append(outcome)
    return outcomes
