"""The watcher's eye on the disks that runs are recorded on: it tells, tries what waits, and makes room."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from backhaul.errors import DiskFull, TemporaryError
from backhaul.unattended.disk_guard import Action
from backhaul.unattended.guarded_folders import Filling, GuardedFolders
from backhaul.unattended.order import clean_command
from backhaul.unattended.queue.entry import WAITING
from backhaul.unattended.queue.interface import Queue
from backhaul.unattended.watch.log import Log

_NEXT = "Make room; `backhaul clean --dry-run` tells which runs may go."


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What a cleaning came to: run directories deleted, and bytes given back."""

    runs: int
    freed: int


@dataclass(slots=True)
class DiskChore:
    """Measures every `every` seconds; `clean` deletes verified runs, and only those."""

    guard: GuardedFolders
    queue: Queue
    log: Log
    clean: Callable[[], Awaitable[Cleaned]]
    every: float = 60.0

    async def __call__(self) -> None:
        """Look once, and do what is due. Raises BackhaulError."""
        for filling in await asyncio.to_thread(self.guard.look):
            self.log.tell("disk", DiskFull(f"{_sentence(filling)}.", next=_NEXT), folder=str(filling.folder))
            if Action.SYNC in filling.actions:
                asked = await asyncio.to_thread(self._ask)
                self.log.tell("disk", tried_now=asked)
            if Action.CLEAN in filling.actions:
                cleaned = await self.clean()
                self.log.tell("disk", deleted=cleaned.runs, freed=cleaned.freed)

    def _ask(self) -> int:
        return self.queue.ask([item.key for item in self.queue.items(WAITING)])


def _sentence(filling: Filling) -> str:
    text = str(filling)
    return text[0].upper() + text[1:]


def cleaning(
    folders: Sequence[Path], to: str | None, entity: str | None, project: str | None
) -> Callable[[], Awaitable[Cleaned]]:
    """A deletion of verified runs in `folders`, in a process of its own."""
    command = clean_command([str(folder) for folder in folders], to, entity, project)

    async def clean() -> Cleaned:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError as error:
            raise TemporaryError(f"Cleaning could not begin: {error.strerror or error}.") from error
        output, _ = await process.communicate()
        try:
            document = json.loads(output)
            deleted = sum(run["fate"] == "deleted" for run in document["runs"])
            return Cleaned(deleted, document.get("freed", 0))
        except (ValueError, KeyError, TypeError) as error:
            raise TemporaryError(f"Cleaning ended with {process.returncode}, and said nothing.") from error

    return clean
