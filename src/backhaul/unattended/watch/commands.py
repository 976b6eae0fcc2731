"""The command files of wandb-osh, so that its users can switch and keep their hooks.

A hook of wandb-osh (1.2.2, `hooks.py`) writes the path of a run directory into `HASH.command` in a folder that both
hosts see; the same run has the same name each time. A file is moved aside before it is read, so that a command that
comes in the meantime is a file of its own, and it is deleted only when the queue, which is durable, has the wish.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from backhaul.errors import BackhaulError, NoRunsFound, UnreadableFile
from backhaul.runs.directory import RunDirectory
from backhaul.runs.find import find_runs

DEFAULT_FOLDER = Path("~/.wandb_osh_command_dir")
_ASIDE = ".taken"
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
        renamed to `*.failed`, and told.
        """
        done, errors = 0, []
        for command in self._moved_aside():
            try:
                directories = _runs_of(command)
            except BackhaulError as error:
                if self._is_older(command, _VISIBLE_WITHIN):
                    command.rename(command.with_suffix(_FAILED))
                    errors.append(error)
                continue
            if directories is None and not self._is_older(command, _WRITTEN_WITHIN):
                continue
            ask(directories or ())
            command.unlink(missing_ok=True)
            done += directories is not None
        return done, errors

    def _moved_aside(self) -> Iterator[Path]:
        """All commands that are aside, those that a watcher before this one left there among them."""
        try:
            names = sorted(path.name for path in self.folder.iterdir())
        except OSError:
            return
        for name in names:
            path = self.folder / name
            if name.endswith(".command"):
                # Over one with the same name: it names the same run.
                path.rename(path.with_name(name + _ASIDE))
                yield path.with_name(name + _ASIDE)
            elif name.endswith(".command" + _ASIDE) and name.removesuffix(_ASIDE) not in names:
                yield path

    def _is_older(self, command: Path, seconds: float) -> bool:
        return self.clock() - command.stat().st_mtime > seconds


def _runs_of(command: Path) -> list[RunDirectory] | None:
    """The runs in the folder that a command names; None for one in which nothing is written yet.

    Raises UnreadableFile and NoRunsFound.
    """
    try:
        target = command.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"The command file {command} cannot be read: {error}.") from error
    if not target:
        return None
    if not Path(target).is_absolute():
        raise NoRunsFound(f"The command file {command} names {target!r}, which is no absolute path.")
    return find_runs([Path(target)], env={}, cwd=command.parent)
