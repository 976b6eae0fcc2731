"""`backhaul show`: a run in the terminal, without a server."""

from __future__ import annotations

from pathlib import Path

import click

from backhaul.cli.run_view import show_run
from backhaul.runs.local_run import open_run


@click.command("show")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--metrics", type=click.IntRange(0), default=30, show_default=True, help="How many metrics to draw.")
@click.option(
    "--lines", type=click.IntRange(0), default=10, show_default=True, help="How many of the last console lines."
)
def command(path: Path, metrics: int, lines: int) -> None:
    """Look at a run: identity, state, config, summary, metrics, console, files, damage. Reads only; no network.

    PATH is a run directory, a .wandb file, or latest-run.
    """
    show_run(open_run(path), metrics=metrics, lines=lines)
