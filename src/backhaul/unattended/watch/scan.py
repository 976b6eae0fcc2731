"""What lies below the watched folders: every run directory's log, with its size and time of change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from backhaul.errors import BackhaulError, NoRunsFound
from backhaul.runs.directory import RunDirectory
from backhaul.runs.find import find_runs
from backhaul.sync.progress import LogStamp


@dataclass(frozen=True, slots=True)
class Seen:
    """One log as it lies there; `stamp` is None when it cannot be looked at."""

    directory: RunDirectory
    stamp: LogStamp | None


def scan(folders: Iterable[Path]) -> tuple[Mapping[Path, Seen], list[BackhaulError]]:
    """Every log below the folders by its path, and why folders could not be looked at.

    A folder that is empty or not there yet is no error.
    """
    found: dict[Path, Seen] = {}
    errors: list[BackhaulError] = []
    for folder in folders:
        try:
            runs = find_runs([folder], env={}, cwd=folder)
        except NoRunsFound:
            continue
        except BackhaulError as error:
            errors.append(error)
            continue
        found.update({run.log: Seen(run, _stamp(run.log)) for run in runs})
    return found, errors


def _stamp(log: Path) -> LogStamp | None:
    try:
        return LogStamp.of(log)
    except OSError:
        return None
