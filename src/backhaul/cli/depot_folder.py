"""The option that names the depot's data folder."""

from __future__ import annotations

from pathlib import Path

import click


def data_option(function: click.decorators.FC) -> click.decorators.FC:
    """The option that names the data folder, the same for every command of the depot."""
    return click.option("--data", metavar="FOLDER", type=click.Path(path_type=Path), help="The data folder.")(function)
