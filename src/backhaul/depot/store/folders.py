"""Folders that survive a power loss: a name in a folder is on the disk once the folder was flushed."""

from __future__ import annotations

import os
from pathlib import Path


def make(folder: Path) -> None:
    """Makes the folder and those above it that are missing, for the owner alone; they are durable when this returns."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)
        sync(each.parent)


def sync(folder: Path) -> None:
    """Makes the names in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
