"""The options that say what of a run is left out."""

from __future__ import annotations

import click

from backhaul.cli.quantities import BYTES


def left_out_options(function: click.decorators.FC) -> click.decorators.FC:
    """Which files and artifacts stay here; the same for every command that sends."""
    exclude = click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out files whose name matches.")
    only_artifacts = click.option(
        "--only-artifacts", multiple=True, metavar="NAME[:ALIAS,…]", help="Send only these artifacts."
    )
    no_artifacts = click.option("--no-artifacts", is_flag=True, help="Leave out all artifacts.")
    max_file_size = click.option(
        "--max-file-size", type=BYTES, metavar="SIZE", help="Leave out larger files (500K, 20M, 2G)."
    )
    return exclude(only_artifacts(no_artifacts(max_file_size(function))))
