"""What wakes the watcher: the real kernel on a real folder, and the time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from backhaul.runs.mounts import MountTable
from backhaul.unattended.watch.bell import Bell, told_of

_LOCAL = "27 1 254:0 / / rw - ext4 /dev/vda rw\n"
_LUSTRE = "41 27 0:51 / /scratch rw - lustre mds@tcp:/scratch rw\n"


def _make(folder: Path) -> None:
    (folder / f"offline-run-1-{len(list(folder.iterdir()))}").mkdir()


def _grow(folder: Path) -> None:
    with (folder / "run-a.wandb").open("ab") as log:
        log.write(b"more")


def _command(folder: Path) -> None:
    (folder / "abc.command").write_text("/run")


@pytest.mark.parametrize("change", [_make, _grow, _command])
def test_the_kernel_rings(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """A folder that comes, a log that grows, a command file."""
    (tmp_path / "run-a.wandb").touch()

    async def woken() -> None:
        bell = Bell()
        listening = asyncio.create_task(bell.listen([tmp_path]))
        waiting = asyncio.create_task(bell.wait(0, 3600))
        # When the kernel begins to tell is not told: the change is made again until it is.
        while not waiting.done():
            change(tmp_path)
            await asyncio.wait([waiting], timeout=0.3)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)

    asyncio.run(woken())


def test_it_never_rings_too_early_nor_too_late() -> None:
    """However often something changes, looking has its rest; however seldom, it is looked."""

    async def waits() -> tuple[float, float]:
        bell, clock = Bell(), asyncio.get_running_loop().time
        bell.ring()
        began = clock()
        await bell.wait(0.05, 3600)
        early = clock() - began
        began = clock()
        await bell.wait(0.0, 0.05)
        return early, clock() - began

    early, late = asyncio.run(waits())
    assert early >= 0.05
    assert late >= 0.05


def test_where_the_kernel_does_not_tell_it_is_looked() -> None:
    """What other hosts write on a shared file system is not told here."""
    mounts = MountTable.of(_LOCAL + _LUSTRE)
    here, there = Path("/data/runs"), Path("/scratch/me")
    assert told_of([here, there], mounts) == ([here], [there])
    assert told_of([here], MountTable.of("")) == ([], [here])
