"""The options that say how the line to a server is used."""

from __future__ import annotations

import click


def timeout_option(function: click.decorators.FC) -> click.decorators.FC:
    """How long nothing may move before a request is given up; the same for every command that asks a server."""
    return click.option(
        "--timeout",
        metavar="SECONDS",
        type=click.FloatRange(min=0.1),
        default=60,
        show_default=True,
        help="Seconds without a byte.",
    )(function)


def bwlimit_option(function: click.decorators.FC) -> click.decorators.FC:
    """How much may be sent, and when; the same for every command that sends."""
    return click.option(
        "--bwlimit", metavar="RATE", help="Bytes a second (512k, 2M), or a timetable: '08:00,512k 19:00,off'."
    )(function)
