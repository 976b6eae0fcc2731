"""The options that name where a depot keeps what it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from backhaul.depot import Place
from backhaul.sync.depot_folder import default_data_folder


def place_options(function: click.decorators.FC) -> click.decorators.FC:
    """The options that name a depot's place, the same for every command of the depot."""
    return click.option("--data", metavar="FOLDER", type=click.Path(path_type=Path), help="The data folder.")(function)


def place_of(choices: dict[str, Any], above: Place | None) -> Place:
    """The place that the options name, which it takes out of `choices`; what they leave open is as `above` says."""
    data: Path | None = choices.pop("data")
    return Place(data or (above.data if above else default_data_folder()))
