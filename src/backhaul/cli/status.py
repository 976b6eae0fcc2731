"""`backhaul status`: what is pending, and why, without the network."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from backhaul.cli.document import print_document
from backhaul.cli.failure import end_with
from backhaul.cli.opened import bundles_json, opened
from backhaul.cli.pipe import end_with_the_reader
from backhaul.cli.status_view import show_standings
from backhaul.errors import BackhaulError
from backhaul.runs.find import find_runs
from backhaul.runs.here import here
from backhaul.sync.standing import standings
from backhaul.sync.state_folder import state_folder


@click.command("status")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(ctx: click.Context, paths: tuple[Path, ...], as_json: bool) -> None:
    """Show where runs stand on their way home: which are waiting, begun, verified. Reads only; no network.

    PATH is what `backhaul sync` takes.
    """
    try:
        with opened(paths) as visit:
            runs = list(standings(find_runs(visit.paths, env=os.environ, cwd=here()), state_folder()))
    except BackhaulError as error:
        end_with(error, as_json=as_json, runs=[])
    end_with_the_reader()
    if as_json:
        document = {"runs": [run.as_json() for run in runs], **bundles_json(visit), "exit_code": visit.exit_code(0)}
        print_document(document)
    else:
        show_standings(runs, time.time())
    ctx.exit(visit.exit_code(0))
