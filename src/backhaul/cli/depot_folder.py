"""Where the user's own depot keeps its data. Apart from the depot itself, which takes long to import."""

from __future__ import annotations

import os
from pathlib import Path

import click
import platformdirs

ADDRESS_FILE = "address"
LOG_FILE = "depot.log"
"""What a depot that serves one command says; one that an operator runs says it on standard error."""


def default_data_folder() -> Path:
    """Where the user's own depot keeps its data, unless $BACKHAUL_DEPOT says otherwise."""
    return Path(os.environ.get("BACKHAUL_DEPOT") or Path(platformdirs.user_data_dir("backhaul"), "depot"))


def data_option(function: click.decorators.FC) -> click.decorators.FC:
    """The option that names the data folder, the same for every command of the depot."""
    return click.option("--data", type=click.Path(path_type=Path), help="The data folder.")(function)
