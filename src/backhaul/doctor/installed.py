"""Which wandb a user has: of the command in his path, without starting it; else of this Python."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_DIST = re.compile(r"wandb-(\d[^-]*)\.dist-info")
_PACKAGES = ("lib/python*/site-packages", "lib/python*/dist-packages", "Lib/site-packages")


@dataclass(frozen=True, slots=True)
class Installed:
    """A release of wandb, and what it belongs to."""

    release: str
    where: str


def installed_wandb(env: Mapping[str, str]) -> Installed | None:
    """The wandb that `wandb sync` would start, else the one that this Python imports; None when there is neither."""
    found = shutil.which("wandb", path=env.get("PATH"))
    if found and (release := _beside(Path(found))):
        return Installed(release, found)
    try:
        return Installed(version("wandb"), "the Python that runs backhaul")
    except PackageNotFoundError:
        return None


def _beside(executable: Path) -> str | None:
    """The release in the environment that the command belongs to: links (pipx, uv) lead there."""
    for prefix in dict.fromkeys((executable.parent.parent, executable.resolve().parent.parent)):
        for pattern in _PACKAGES:
            for dist in sorted(prefix.glob(f"{pattern}/wandb-*.dist-info")):
                if match := _DIST.fullmatch(dist.name):
                    return match[1]
    return None
