"""Whether wandb is to link media files or to copy them, told to a job that runs.

The job gets a folder of ours in front of its `PYTHONPATH`, in which lies `in_the_job/sitecustomize.py`, and looks there
for a file, the flag. The flag is made beforehand, under another name: to rename it needs no room on a full disk.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

# What is read within the job belongs to the job's Python, and is never imported here.
_SITE = Path(__file__).with_name("in_the_job") / "sitecustomize.py"
_FLAG, _PATH = "BACKHAUL_LINK_MEDIA", "PYTHONPATH"


@dataclass(slots=True)
class MediaSwitch:
    """The switch for one job. It links for as long as any of the file systems that were named is full."""

    folder: Path
    _full: set[str] = field(default_factory=set)

    @classmethod
    def make(cls) -> Self:
        """A switch in a new folder, which copies. Raises OSError."""
        switch = cls(Path(tempfile.mkdtemp(prefix="backhaul-job-")))
        try:
            shutil.copyfile(_SITE, switch.folder / _SITE.name)
            switch._off.touch()
        except OSError:
            switch.remove()
            raise
        return switch

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """The job's environment, in which its Pythons find the switch."""
        places = [os.fspath(self.folder), *filter(None, [env.get(_PATH)])]
        return {**env, _PATH: os.pathsep.join(places), _FLAG: os.fspath(self._on)}

    def link(self, disk: str) -> None:
        """The file system at `disk` is full. Raises OSError."""
        if not self._full:
            self._off.rename(self._on)
        self._full.add(disk)

    def copy(self, disk: str) -> None:
        """There is room again at `disk`. Raises OSError."""
        if self._full == {disk}:
            self._on.rename(self._off)
        self._full.discard(disk)

    @property
    def links(self) -> bool:
        """Whether media files are linked now."""
        return bool(self._full)

    def remove(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _on(self) -> Path:
        return self.folder / "link-media"

    @property
    def _off(self) -> Path:
        return self.folder / "copy-media"
