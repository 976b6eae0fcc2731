"""Folders that survive a power loss: a name in a folder is on the disk once the folder was flushed."""

from __future__ import annotations

import os
import threading
from pathlib import Path


class Folder:
    """A folder that several threads put names into. Who comes to flush it during a flush shares the next one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._begun = 0
        self._done = 0
        self._flushing = threading.Lock()

    def sync(self) -> None:
        """Makes the names durable that were put into the folder before this was called. Raises OSError."""
        wanted = self._begun + 1  # a flush that is under way may have begun before the name was there
        with self._flushing:
            if self._done < wanted:
                self._begun += 1
                sync(self.path)
                self._done = self._begun


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
