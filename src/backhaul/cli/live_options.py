"""The options that say how a run is followed while it is being recorded."""

from __future__ import annotations

import click


def live_options(function: click.decorators.FC) -> click.decorators.FC:
    """How often a log that grows is read, and when its writer counts as dead; the same for every command."""
    every = click.option(
        "--live-every",
        metavar="SECONDS",
        type=click.FloatRange(min=0.5),
        default=15,
        show_default=True,
        help="Seconds between two readings.",
    )
    dead_after = click.option(
        "--dead-after",
        metavar="SECONDS",
        type=click.FloatRange(min=1),
        default=900,
        show_default=True,
        help="Seconds without growth after which a writer that cannot be seen counts as dead.",
    )
    return every(dead_after(function))
