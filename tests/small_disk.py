"""A real file system that is small, to be filled."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[Path]:
    """A file system of this size at `place`, in memory, for as long as the block lasts."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def make_room(place: Path, megabytes: int) -> None:
    """Let the small file system be of this size from now on."""
    subprocess.run(["mount", "-o", f"remount,size={megabytes}m", str(place)], check=True)


def fill(place: Path) -> None:
    """Leave nothing free there, to the last byte, as a job does that writes until it cannot."""
    line = ["dd", "if=/dev/zero", f"of={place}/ballast", "bs=4k", "oflag=append", "conv=notrunc"]
    subprocess.run(line, stderr=subprocess.DEVNULL, check=False)
