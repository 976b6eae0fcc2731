"""Where the user's own depot keeps its data, and what other programs find there."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from backhaul.runs.home import needing_home

ADDRESS_FILE = "address"
KEY_FILE = "api-key"
DATABASE_VARIABLE = "BACKHAUL_DEPOT_DB"
LOG_FILE = "depot.log"
"""What a depot that serves one command says; one that an operator runs says it on standard error."""


def default_data_folder() -> Path:
    """Where the user's own depot keeps its data, unless $BACKHAUL_DEPOT says otherwise. Raises ConfigurationError."""
    with needing_home():
        return Path(os.environ.get("BACKHAUL_DEPOT") or Path(platformdirs.user_data_dir("backhaul"), "depot"))
