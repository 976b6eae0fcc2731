"""Where a repaired run lies, and how it gets the run's files.

A repaired log beside the damaged one would be sent as a second run under the same id: `wandb sync wandb/` takes every
`*/*.wandb`, and so does Backhaul in folders named as run directories. So the default place is
``wandb/repaired/offline-repaired-TIME-ID/run-ID.wandb``: one level too deep for the one, and named otherwise for the
other, but a run directory for both when it is named. Its name starts with ``offline-``, without which `wandb sync`
passes over a folder.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from backhaul.errors import RunBusy
from backhaul.runs.directory import RunDirectory, is_run_directory_name
from backhaul.runs.open_files import is_open_for_writing
from backhaul.runs.payloads import MADE_FROM_LOG

FOLDER = "repaired"
_PREFIX = "offline-repaired-"


def default_folder(run: RunDirectory) -> Path:
    """The run directory that a repair of `run` makes when no other place is named."""
    name = run.path.name
    if not is_run_directory_name(name):
        return run.path / FOLDER / f"{_PREFIX}{run.log.stem.removeprefix('run-')}"
    return run.path.parent / FOLDER / f"{_PREFIX}{name.removeprefix('offline-').removeprefix('run-')}"


def make_unfinished(folder: Path) -> Path:
    """An empty folder beside `folder`, to be filled and then given its name.

    What a killed repair of the same run left is taken away. Raises RunBusy while another one is at work.
    """
    unfinished = folder.with_name(f".unfinished-{folder.name}")
    if any(is_open_for_writing(part) for part in unfinished.glob(".*.part")):
        raise RunBusy(f"Another process is repairing this run into {folder}.")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    return unfinished


def bring_files(run: RunDirectory, folder: Path, final: Path) -> None:
    """Give the new run directory `folder`, which will be named `final`, the files of `run`.

    Nothing takes room twice: each is one more name of the same file, so that it stays when the original is deleted, or,
    where the file system has no such thing, a link. Those that `wandb sync` writes are copied. Links that `run.save`
    made lead where they led. The note of where a resumed run starts is copied as well.
    """
    for relative in _names(run.files):
        target = folder / "files" / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        source = run.files / relative
        if source.is_symlink():
            target.symlink_to(source.parent / source.readlink())
        elif str(relative) in MADE_FROM_LOG:
            # `wandb sync` writes these into `files/`: a link would lead its pen into the original.
            shutil.copyfile(source, target)
        else:
            _link(source, target, final / "files" / relative)
    syncstate = run.log.with_name(run.log.name + ".syncstate")
    if syncstate.is_file():
        shutil.copyfile(syncstate, folder / syncstate.name)


def _link(source: Path, target: Path, final: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:
        # Relative, so that the whole `wandb` folder can still be moved.
        target.symlink_to(os.path.relpath(source, final.parent))


def _names(files: Path) -> Iterator[Path]:
    for folder, subfolders, names in os.walk(files):
        linked = [name for name in subfolders if Path(folder, name).is_symlink()]
        for name in sorted([*names, *linked]):
            yield Path(folder, name).relative_to(files)
