"""`backhaul show`: a run in the terminal, without a server."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from backhaul.cli.opened import opened
from backhaul.cli.pipe import end_with_the_reader
from backhaul.cli.run_view import show_run
from backhaul.errors import UsageError
from backhaul.runs.local_run import open_run


@click.command("show")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--metrics", metavar="N", type=click.IntRange(0), default=30, show_default=True, help="How many metrics to draw."
)
@click.option(
    "--lines",
    metavar="N",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="How many of the last console lines.",
)
def command(path: Path, metrics: int, lines: int) -> None:
    """Look at a run: identity, state, config, summary, metrics, console, files, damage. Reads only; no network.

    PATH is a run directory, a .wandb file, latest-run, or a bundle of one run.
    """
    console = Console(highlight=False)
    with opened((path,)) as visit, console.capture() as shown:
        if len(visit.paths) != 1:
            raise UsageError(
                f"There are {len(visit.paths)} runs in {path}, and one is shown.",
                next="See them with `backhaul status`; `backhaul unpack` takes them out.",
            )
        show_run(open_run(visit.paths[0]), console, metrics=metrics, lines=lines)
    # Only now: what was taken out of a bundle had to be put away first.
    end_with_the_reader()
    print(shown.get(), end="")
