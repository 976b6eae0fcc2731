"""Where the user's receipts lie, and ledgers that cannot lie beside their log."""

from __future__ import annotations

from pathlib import Path

import platformdirs


def state_folder() -> Path:
    """The user's state folder of Backhaul; it need not exist yet."""
    return Path(platformdirs.user_state_dir("backhaul"))
