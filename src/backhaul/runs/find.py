"""Finding run directories under whatever path a user gives."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from backhaul.errors import NoRunsFound, UnreadableFile
from backhaul.runs.directory import RunDirectory, is_run_directory_name
from backhaul.runs.sight import is_folder

# A `wandb` folder seldom lies deeper below a project; without a bound a home directory would be walked whole.
_MAX_DEPTH = 12
_PASSED_OVER = frozenset({".git", "node_modules", "__pycache__", ".venv", "site-packages"})
# What `backhaul repair` makes is a second copy of a run: taken when it is named, never from above.
_ONLY_WHEN_NAMED = "repaired"
# What the SDK makes beside each log: by it a run directory is known that somebody has renamed.
_BESIDE_A_LOG = "files"


def find_runs(
    paths: Iterable[Path], *, env: Mapping[str, str], cwd: Path, include_online: bool = False
) -> list[RunDirectory]:
    """The run directories under `paths`, each once, ordered by name (which starts with the recording time).

    A path may be a run directory, its `files` folder, a `.wandb` file, `latest-run`, a `wandb` folder, or any folder
    above one; without paths, `$WANDB_DIR` or `cwd` is taken. A run directory may have been renamed; a log that lies
    alone in some folder counts when the folder or the log is named. Online runs (`run-…`) are left out unless they are
    named directly or `include_online` is set. Raises `NoRunsFound`, naming the path, and `UnreadableFile`.
    """
    found: dict[str, RunDirectory] = {}
    for path in list(paths) or [default_path(env, cwd)]:
        runs = list(_under(path, include_online))
        if not runs:
            raise NoRunsFound(_nothing_there(path))
        found.update({_identity(run.log): run for run in runs})
    return sorted(found.values(), key=lambda run: (run.path.name.removeprefix("offline-"), str(run.path)))


def _identity(log: Path) -> str:
    """One name for a log that is reached in several ways; its folder is resolved already."""
    return os.path.realpath(log) if log.is_symlink() else str(log)


def default_path(env: Mapping[str, str], cwd: Path) -> Path:
    """Where to look when the user names no path."""
    return Path(env["WANDB_DIR"]) if env.get("WANDB_DIR") else cwd


def _nothing_there(path: Path) -> str:
    if not path.exists():
        return f"There is nothing at {path}."
    return f"No offline run was found under {path}."


def _under(path: Path, include_online: bool) -> Iterator[RunDirectory]:
    if path.is_file():
        yield RunDirectory(path.resolve().parent, path.resolve())
        return
    for folder in (path, path.parent) if path.name == "files" else (path,):
        if runs := _of_folder(folder):
            yield from runs
            if _is_run_directory(folder.resolve()):
                return
    for run in _walk(path.resolve(), _MAX_DEPTH):
        if run.offline or include_online:
            yield run


def _of_folder(folder: Path) -> list[RunDirectory]:
    """The logs that lie directly in `folder`. Resolved, so that `latest-run` and the run itself are one."""
    try:
        return _logs_in(folder.resolve())
    except (NotADirectoryError, FileNotFoundError):
        return []
    except OSError as error:
        raise UnreadableFile(f"{folder} cannot be read: {error.strerror}") from error


def _logs_in(home: Path) -> list[RunDirectory]:
    with os.scandir(home) as entries:
        logs = sorted(entry.path for entry in entries if entry.name.endswith(".wandb"))
    return [RunDirectory(home, Path(log)) for log in logs]


def _is_run_directory(folder: Path) -> bool:
    return is_run_directory_name(folder.name) or is_folder(folder / _BESIDE_A_LOG)


def _walk(folder: Path, depth: int) -> Iterator[RunDirectory]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        # A folder below the one asked for that cannot be listed is someone else's; the runs beside it still count.
        return
    logs = [entry.path for entry in entries if entry.name.startswith("run-") and entry.name.endswith(".wandb")]
    # A hidden folder is not what a user calls a run: `backhaul clean` names so what it is about to delete.
    if logs and not folder.name.startswith(".") and any(entry.name == _BESIDE_A_LOG for entry in entries):
        yield from (RunDirectory(folder, Path(log)) for log in logs)
        return
    for entry in entries:
        if not entry.is_dir(follow_symlinks=False) or entry.name in _PASSED_OVER or entry.name == _ONLY_WHEN_NAMED:
            continue
        if is_run_directory_name(entry.name) and (runs := _readable(Path(entry.path))):
            yield from runs
        elif depth > 0:
            yield from _walk(Path(entry.path), depth - 1)


def _readable(home: Path) -> list[RunDirectory]:
    """The logs of a run directory; one that cannot be listed stands for itself, so that it is told, not passed over."""
    try:
        return _logs_in(home)
    except FileNotFoundError:
        return []
    except OSError:
        run_id = home.name.split("-")[-1]
        return [RunDirectory(home, home / f"run-{run_id}.wandb")]
