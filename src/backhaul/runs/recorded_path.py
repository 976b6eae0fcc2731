"""Paths as a log names them: those of the recording machine, which may have had Windows."""

from __future__ import annotations

import re
from pathlib import Path, PureWindowsPath

_ON_A_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def recorded_path(text: str) -> Path:
    r"""The path with the folders that it goes through: `C:\runs\a.pt` as `/C:/runs/a.pt`, any other as it stands.

    No such place is on this system; but its folders and its name are what a moved tree is found by.
    """
    if _ON_A_DRIVE.match(text):
        return Path("/", PureWindowsPath(text).as_posix())
    return Path(text)
