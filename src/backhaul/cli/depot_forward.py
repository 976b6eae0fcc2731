"""`backhaul depot forward`: pass on what a depot holds."""

from __future__ import annotations

import signal
import sys
from typing import Any

import click

from backhaul.cli.depot_place import blobs_options, place_of, place_options
from backhaul.cli.line_options import bwlimit_option, timeout_option
from backhaul.cli.parent import end_with_parent
from backhaul.cli.render import show_outcomes
from backhaul.depot import log
from backhaul.depot.service import default_entity
from backhaul.errors import Terminated
from backhaul.relay.service import LOG, Relay
from backhaul.sync.outcome import overall_exit_code
from backhaul.sync.target import Target


@click.command("forward")
@click.option("--to", required=True, metavar="URL", help="The server to which everything goes.")
@click.option("-e", "--entity", metavar="NAME", help="Send to this entity, whatever a run says.")
@click.option("-p", "--project", metavar="NAME", help="Send to this project, whatever a run says.")
@click.option(
    "--from-entity", metavar="ENTITY", help="Runs of this entity go to the key's own; the depot's default by default."
)
@click.option(
    "--every",
    metavar="SECONDS",
    type=click.FloatRange(min=0.5),
    default=10,
    show_default=True,
    help="Seconds between two looks.",
)
@click.option("--once", is_flag=True, help="Bring what is there now, and end.")
@timeout_option
@bwlimit_option
@click.option("--with-parent", is_flag=True, hidden=True, help="Stop when standard input is closed.")
@blobs_options
@place_options
@click.pass_context
def command(ctx: click.Context, /, once: bool, every: float, with_parent: bool, **choices: Any) -> None:
    """Pass on what a depot holds to another server, while the depot runs or not.

    Each run goes by the same engine as `backhaul sync` takes, with a ledger, and is read back. A run that goes on is
    sent as far as it is; its console comes when it ends.
    """
    log.to_stderr(LOG)
    signal.signal(signal.SIGTERM, _terminate)
    if with_parent:
        end_with_parent()
    target = Target(
        choices["to"], choices["entity"], choices["project"], timeout=choices["timeout"], bwlimit=choices["bwlimit"]
    )
    relay = Relay(place_of(choices, ctx.obj), choices["from_entity"] or default_entity(), target)
    if not once:
        relay.for_ever(every)
    outcomes = relay.once()
    show_outcomes(outcomes)
    sys.exit(overall_exit_code(outcomes))


def _terminate(_number: int, _frame: object) -> None:
    raise Terminated("Asked to end by SIGTERM.")
