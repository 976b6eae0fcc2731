"""Parts of a run that nobody named and that were sent to the destination before: where they lie, they are found.

That is beside the named ones; or wherever they lay when they got a receipt, if the later part says that it resumes the
run: two folders far apart may as well be two runs that got the same id.

Their lines stand before or behind the lines of the named parts, so they have a say in where these go; and where an
earlier part comes late, they have to move up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from backhaul.errors import BackhaulError
from backhaul.runs.directory import RunDirectory, run_id_in
from backhaul.runs.identity import RunIdentity
from backhaul.runs.inspect import Inspection, inspect
from backhaul.runs.stream import NUMBERED, Stream
from backhaul.sync.destination import Destination
from backhaul.sync.ledger import read_ledger
from backhaul.sync.progress import Progress
from backhaul.sync.receipt import logs_with_receipts


def companions_of(named: Sequence[Inspection], to: Destination, state_folder: Path) -> list[Inspection]:
    """The other parts of the named runs, as far as their ledgers know the destination.

    A second copy of a named part, such as a repaired one, is none. What cannot be read is passed over.
    """
    parts: dict[str, list[RunIdentity]] = {}
    for run in named:
        parts.setdefault(to.key(run.identity), []).append(run.identity)
    logs = {run.directory.log for run in named}
    found = []
    for directory, is_beside in chain(_beside(named), _elsewhere(named, to, state_folder)):
        if directory.log in logs:
            continue
        logs.add(directory.log)
        other = _looked_at(directory)
        own = parts.get(to.key(other.identity), []) if other else []
        if other and _is_another_part(other.identity, own, is_beside=is_beside) and _was_sent(other, to, state_folder):
            found.append(other)
    return found


def _is_another_part(other: RunIdentity, named: Sequence[RunIdentity], *, is_beside: bool) -> bool:
    if not named or any(part.start_time == other.start_time for part in named):
        return False
    return is_beside or all(max(other, part, key=lambda each: each.start_time).resumes for part in named)


def _beside(named: Iterable[Inspection]) -> Iterator[tuple[RunDirectory, bool]]:
    """The directories of the same run ids in the folders of the named ones."""
    folders: dict[Path, set[str]] = {}
    for run in named:
        folders.setdefault(run.directory.path.parent, set()).add(run.directory.run_id_hint)
    for folder, run_ids in folders.items():
        yield from ((directory, True) for directory in _of_runs(folder, run_ids))


def _elsewhere(named: Iterable[Inspection], to: Destination, state_folder: Path) -> Iterator[tuple[RunDirectory, bool]]:
    """The directories whose logs have a receipt under the name of one of the runs."""
    projects: dict[str, set[str]] = {}
    for run in named:
        projects.setdefault(to.project_of(run.identity), set()).add(to.run_id_of(run.identity))
    for project, run_ids in projects.items():
        for log in logs_with_receipts(project, run_ids, state_folder):
            yield RunDirectory(log.parent, log), False


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


def _was_sent(run: Inspection, to: Destination, state_folder: Path) -> bool:
    return read_ledger(run.directory.log, state_folder).get(to.key(run.identity), Progress()).begun


def known_end(run: Inspection, to: Destination, state_folder: Path) -> dict[Stream, int]:
    """Where a part that was sent ends at the destination, by its ledger."""
    progress = read_ledger(run.directory.log, state_folder).get(to.key(run.identity), Progress())
    return {stream: progress.base[stream] + progress.lines[stream] for stream in NUMBERED}
