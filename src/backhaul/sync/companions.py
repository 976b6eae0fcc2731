"""Parts of a run that nobody named and that were sent to the destination before: where they lie, they are found.

That is beside the named ones, or wherever they lay when they got a receipt.

Their lines stand before or behind the lines of the named parts, so they have a say in where these go; and where an
earlier part comes late, they have to move up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from backhaul.errors import BackhaulError
from backhaul.runs.directory import RunDirectory, run_id_in
from backhaul.runs.inspect import Inspection, inspect
from backhaul.runs.rows import NUMBERED, Stream
from backhaul.sync.destination import Destination
from backhaul.sync.ledger import read_ledger
from backhaul.sync.progress import Progress
from backhaul.sync.receipt import logs_with_receipts


def companions_of(named: Sequence[Inspection], to: Destination, state_folder: Path) -> list[Inspection]:
    """The other parts of the named runs, as far as their ledgers know the destination.

    A second copy of a named part, such as a repaired one, is none. What cannot be read is passed over.
    """
    starts: dict[str, set[float]] = {}
    for run in named:
        starts.setdefault(to.key(run.identity), set()).add(run.identity.start_time)
    logs = {run.directory.log for run in named}
    found = []
    for directory in chain(_beside(named), _elsewhere(named, to, state_folder)):
        if directory.log not in logs:
            logs.add(directory.log)
            other = _looked_at(directory)
            if other is not None and _is_part_of(other, starts, to, state_folder):
                found.append(other)
    return found


def _beside(named: Iterable[Inspection]) -> Iterator[RunDirectory]:
    """The directories of the same run ids in the folders of the named ones."""
    folders: dict[Path, set[str]] = {}
    for run in named:
        folders.setdefault(run.directory.path.parent, set()).add(run.directory.run_id_hint)
    for folder, run_ids in folders.items():
        yield from _of_runs(folder, run_ids)


def _elsewhere(named: Iterable[Inspection], to: Destination, state_folder: Path) -> Iterator[RunDirectory]:
    """The directories whose logs have a receipt under the name of one of the runs."""
    projects: dict[str, set[str]] = {}
    for run in named:
        projects.setdefault(to.project_of(run.identity), set()).add(to.run_id_of(run.identity))
    for project, run_ids in projects.items():
        for log in logs_with_receipts(project, run_ids, state_folder):
            yield RunDirectory(log.parent, log)


def _of_runs(folder: Path, run_ids: set[str]) -> Iterator[RunDirectory]:
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError:
        return
    for name in names:
        run_id = run_id_in(name)
        if run_id in run_ids:
            yield RunDirectory(folder / name, folder / name / f"run-{run_id}.wandb")


def _looked_at(directory: RunDirectory) -> Inspection | None:
    try:
        return inspect(directory)
    except BackhaulError:
        return None


def _is_part_of(other: Inspection, starts: Mapping[str, set[float]], to: Destination, state_folder: Path) -> bool:
    key = to.key(other.identity)
    if key not in starts or other.identity.start_time in starts[key]:
        return False
    return read_ledger(other.directory.log, state_folder).get(key, Progress()).begun


def known_end(run: Inspection, to: Destination, state_folder: Path) -> dict[Stream, int]:
    """Where a part that was sent ends at the destination, by its ledger."""
    progress = read_ledger(run.directory.log, state_folder).get(to.key(run.identity), Progress())
    return {stream: progress.base[stream] + progress.lines[stream] for stream in NUMBERED}
