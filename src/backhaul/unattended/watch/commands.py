"""The command files of wandb-osh, so that its users can switch and keep their hooks.

A hook of wandb-osh (1.2.2, `hooks.py`) writes the path of a run directory into `HASH.command` in a folder that both
hosts see; the same run has the same name each time. A file is moved aside before it is read, so that a command that
comes in the meantime is a file of its own, and it is deleted only when the queue, which is durable, has the wish.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from backhaul.errors import BackhaulError, NoRunsFound, UnreadableFile
from backhaul.runs.directory import RunDirectory
from backhaul.runs.find import find_runs

DEFAULT_FOLDER = Path("~/.wandb_osh_command_dir")
_NEW, _ASIDE = ".command", ".taken"
_FAILED = ".failed"
# What is empty is about to be written; what names no run may not be visible here yet (seconds).
_WRITTEN_WITHIN, _VISIBLE_WITHIN = 60.0, 600.0


@dataclass(frozen=True, slots=True)
class Commands:
    """The folder of command files."""

    folder: Path
    clock: Callable[[], float] = time.time

    def take(self, ask: Callable[[Iterable[RunDirectory]], None]) -> tuple[int, list[BackhaulError]]:
        """Hand the runs of each command to `ask`, then delete it; how many there were, and what is wrong with others.

        What `ask` raises is raised, and the command is still there. One that cannot be followed for ten minutes is
        renamed to `*.failed`, and told; so is one that may not be moved or read.
        """
        done = 0
        errors: list[BackhaulError] = []
        for found in self._found():
            try:
                command = _moved_aside(found)
                directories = self._runs_of(command)
            except FileNotFoundError:
                # Another watcher of this folder has it.
                continue
            except OSError as error:
                errors.append(UnreadableFile(f"The command file {found} cannot be taken: {error.strerror}."))
                continue
            except BackhaulError as error:
                errors.append(error)
                continue
            if directories is not None:
                ask(directories)
                command.unlink(missing_ok=True)
                done += bool(directories)
        return done, errors

    def _found(self) -> list[Path]:
        """All commands, those among them that a watcher before this one has moved aside."""
        try:
            names = {path.name for path in self.folder.iterdir()}
        except OSError:
            return []
        # One that is aside goes with its newer namesake, which is put over it: it names the same run.
        wanted = [
            name
            for name in sorted(names)
            if name.endswith(_NEW) or (name.endswith(_NEW + _ASIDE) and name.removesuffix(_ASIDE) not in names)
        ]
        return [self.folder / name for name in wanted]

    def _runs_of(self, command: Path) -> list[RunDirectory] | None:
        """The runs that a command names, which is aside; None when it is to be looked at again, because of its age.

        None at all are in one in which nothing was ever written. Raises OSError, and BackhaulError for one that has
        failed.
        """
        try:
            named = _named_in(command)
        except BackhaulError:
            if self._is_older(command, _VISIBLE_WITHIN):
                command.rename(command.with_suffix(_FAILED))
                raise
            return None
        return named if named or self._is_older(command, _WRITTEN_WITHIN) else None

    def _is_older(self, command: Path, seconds: float) -> bool:
        return self.clock() - command.stat().st_mtime > seconds


def _moved_aside(found: Path) -> Path:
    if found.suffix == _ASIDE:
        return found
    return found.rename(found.with_name(found.name + _ASIDE))


def _named_in(command: Path) -> list[RunDirectory]:
    """The runs in the folder that a command names; none when nothing is written. Raises OSError, BackhaulError."""
    try:
        target = command.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"The command file {command} cannot be read: {error}.") from error
    if not target:
        return []
    if not Path(target).is_absolute():
        raise NoRunsFound(f"The command file {command} names {target!r}, which is no absolute path.")
    return find_runs([Path(target)], env={}, cwd=command.parent)
