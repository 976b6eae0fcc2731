"""Where the user's receipts lie, and ledgers that cannot lie beside their log."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import platformdirs

from backhaul.runs.home import needing_home


def state_folder() -> Path:
    """The user's state folder of Backhaul; it need not exist yet. Raises ConfigurationError."""
    with needing_home():
        return Path(platformdirs.user_state_dir("backhaul"))


def unpacked_folder(state_folder: Path) -> Path:
    """Where bundles lie unpacked while a command looks at them: what is there comes and goes."""
    return state_folder / "bundles"


def comes_and_goes(log: Path, state_folder: Path) -> bool:
    """Whether the log is one that was unpacked for a while only: what is known of it must outlive the copy."""
    return log.is_relative_to(_resolved(unpacked_folder(state_folder)))


@cache
def _resolved(folder: Path) -> Path:
    """The folder without links: found out once, not for each of a thousand runs."""
    return folder.resolve()
