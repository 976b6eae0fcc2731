"""Which runs a job has made: those that its processes were seen to write, and those that came up where it worked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from backhaul.errors import BackhaulError
from backhaul.runs.directory import RunDirectory, is_run_directory_name
from backhaul.runs.find import find_runs
from backhaul.wandblog.framing import Framing
from backhaul.wandblog.grid import grid_base
from backhaul.wandblog.schema import DecodeError, EnvironmentRecord, Record

# A file server's clock may lag behind ours.
_SLACK = 60.0
_PROCESSES = Path("/proc")
_HEAD_RECORDS, _HEAD_BYTES = 50, 1 << 20


def logs_written_by(processes: Iterable[int]) -> Iterator[Path]:
    """The transaction logs that these processes have open for writing now."""
    for pid in processes:
        try:
            descriptors = list((_PROCESSES / str(pid) / "fd").iterdir())
        except OSError:
            # It has ended, or is another user's.
            continue
        for descriptor in descriptors:
            try:
                target = descriptor.readlink()
                if target.suffix == ".wandb" and _is_written(pid, descriptor.name):
                    yield target
            except OSError:
                continue


def runs_made(seen: Iterable[Path], roots: Iterable[Path], env: Mapping[str, str], since: float) -> list[RunDirectory]:
    """The run directories of a job that began at `since` (Unix seconds), ordered by name.

    `seen` are logs that its processes had open. To them come the runs beside those and in `wandb` below each of the
    `roots` that have changed since; the roots are searched whole only when that finds nothing. A run that was recorded
    in another Slurm job is not ours, also when it lies in the same folder.
    """
    logs = {Path(log).resolve() for log in seen if Path(log).exists()}
    folders = {log.parent.parent for log in logs} | {root / name for root in roots for name in ("wandb", ".wandb")}
    found = {run.log: run for folder in folders for run in _in(folder) if _changed(run, since)}
    if not found and not logs:
        found = {run.log: run for run in _below(roots) if _changed(run, since)}
    ours = {log: run for log, run in found.items() if not _is_of_another_job(run, env)}
    ours |= {log: RunDirectory(log.parent, log) for log in logs}
    offline = (run for run in ours.values() if run.offline)
    return sorted(offline, key=lambda run: (run.path.name.removeprefix("offline-"), str(run.path)))


def _in(folder: Path) -> Iterator[RunDirectory]:
    try:
        places = [entry.path for entry in os.scandir(folder.resolve()) if is_run_directory_name(entry.name)]
    except OSError:
        return
    for place in places:
        try:
            yield from find_runs([Path(place)], env={}, cwd=folder, include_online=True)
        except BackhaulError:
            # It has no log yet, or none that can be read: nothing to bring home.
            continue


def _below(roots: Iterable[Path]) -> Iterator[RunDirectory]:
    for root in roots:
        try:
            yield from find_runs([root], env={}, cwd=root)
        except BackhaulError:
            continue


def _changed(run: RunDirectory, since: float) -> bool:
    try:
        return run.log.stat().st_mtime >= since - _SLACK
    except OSError:
        return False


def _is_written(pid: int, descriptor: str) -> bool:
    flags = next(
        line for line in (_PROCESSES / str(pid) / "fdinfo" / descriptor).read_text().splitlines() if "flags" in line
    )
    return int(flags.split()[1], 8) & os.O_ACCMODE != os.O_RDONLY


def _is_of_another_job(run: RunDirectory, env: Mapping[str, str]) -> bool:
    mine = env.get("SLURM_JOB_ID")
    return bool(mine) and slurm_job_of(run) not in (None, mine)


def slurm_job_of(run: RunDirectory) -> str | None:
    """The Slurm job in which a run was recorded, by its environment record (SDK 0.21 on); None when it does not say."""
    try:
        with run.log.open("rb") as file:
            for _, data in islice(Framing(file, base=grid_base(file), stop=_HEAD_BYTES), _HEAD_RECORDS):
                record = Record.FromString(data)
                if record.WhichOneof("record_type") == "environment":
                    said: dict[str, str] = dict(EnvironmentRecord.FromString(record.environment).slurm)
                    return said.get("job_id")
    except (OSError, DecodeError):
        return None
    return None
