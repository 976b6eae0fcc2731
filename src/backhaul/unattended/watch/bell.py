"""What wakes the watcher: the kernel, where it tells of changes, else the time.

The bell says only that it is worth looking. What has changed is found by looking, so that a lost notice costs time and
nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from watchfiles import Change, awatch

from backhaul.runs.mounts import MountTable

# Writers write every few milliseconds; one ring for all that comes within this time (ms).
_GATHER = 1000
_STARTED_AGAIN_AFTER = 60.0


class Bell:
    """Rings when something changed in one of the folders, or when somebody else rings it."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake who waits."""
        self._rung.set()

    async def wait(self, at_least: float, at_most: float) -> None:
        """Return after `at_most` seconds, or earlier when it rings; never before `at_least` seconds are over."""
        await asyncio.sleep(min(at_least, at_most))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, at_most - at_least)):
                await self._rung.wait()
        self._rung.clear()

    async def listen(self, folders: Sequence[Path]) -> None:
        """Ring whenever the kernel tells of a change of runs below `folders`; never ends.

        A folder that is not there yet is looked for again after a minute. So is everything when the kernel's limit of
        watches is reached: until then the time alone wakes who waits.
        """
        while True:
            there = [folder for folder in folders if folder.is_dir()]
            if there:
                with contextlib.suppress(OSError, RuntimeError):
                    await self._ring_for(there, all_there=len(there) == len(folders))
            await asyncio.sleep(_STARTED_AGAIN_AFTER)

    async def _ring_for(self, folders: Sequence[Path], *, all_there: bool) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if all_there else _STARTED_AGAIN_AFTER):
                async for _ in _changes(folders):
                    self.ring()


def told_of(folders: Sequence[Path], mounts: MountTable) -> tuple[list[Path], list[Path]]:
    """The folders of whose changes this host's kernel tells, and those that have to be looked at."""
    told = [folder for folder in folders if mounts.holding(folder).tells_changes]
    return told, [folder for folder in folders if folder not in told]


async def _changes(folders: Sequence[Path]) -> AsyncIterator[None]:
    changes = awatch(
        *folders, watch_filter=_matters, debounce=_GATHER, step=200, recursive=True, ignore_permission_denied=True,
        rust_timeout=5000, yield_on_timeout=False,
    )  # fmt: skip
    async for _ in changes:
        yield


def _matters(change: Change, path: str) -> bool:
    """A log that has grown or come, a folder that has come, a command file; not what Backhaul itself writes."""
    name = path.rpartition("/")[2]
    if change is Change.added:
        return not name.endswith(".synced") and ".wandb.backhaul" not in name
    return name.endswith((".wandb", ".command"))
