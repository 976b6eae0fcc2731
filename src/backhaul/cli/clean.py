"""`backhaul clean`: delete runs that are home, and only those."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from backhaul.clean.clearing import clear, finish_interrupted, judge, judge_by_carried_receipts
from backhaul.clean.verdict import Clearing, Fate, Verdict
from backhaul.cli.clean_view import show_clearing
from backhaul.cli.document import print_document
from backhaul.cli.failure import end_with
from backhaul.cli.line_options import timeout_option
from backhaul.cli.progress import progress_view
from backhaul.cli.render import STDERR, show_warnings, size
from backhaul.counted import counted
from backhaul.errors import BackhaulError, NoRunsFound, UsageError
from backhaul.runs.directory import RunDirectory
from backhaul.runs.find import default_path, find_runs
from backhaul.runs.here import here
from backhaul.sync.connection import Connection, connected
from backhaul.sync.options import SyncOptions
from backhaul.sync.reporter import Reporter
from backhaul.sync.state_folder import state_folder
from backhaul.sync.target import Target


@click.command("clean")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--to", "to", metavar="URL|depot", help="The server; `depot` is your own on this machine.")
@click.option("-e", "--entity", metavar="NAME", help="The runs are under this entity, whatever the log says.")
@click.option("-p", "--project", metavar="NAME", help="The runs are under this project, whatever the log says.")
@click.option("--deep", is_flag=True, help="Read every history row back and compare it, before anything is deleted.")
@click.option(
    "--carried", is_flag=True, help="Go by receipts that were carried here (`receipt import`); ask no server."
)
@click.option("--dry-run", is_flag=True, help="Say what would be deleted; delete nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before deleting.")
@timeout_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(
    ctx: click.Context, /, paths: tuple[Path, ...], dry_run: bool, yes: bool, as_json: bool, **choices: Any
) -> None:
    """Delete run directories that are home: proved by your own receipt, unchanged since, and confirmed by the server
    that is asked again. Everything else stays. The receipt is kept.

    PATH is what `backhaul sync` takes.
    """
    target = Target(choices["to"], choices["entity"], choices["project"], None, choices["timeout"])
    try:
        if not (dry_run or yes or sys.stdin.isatty()):
            raise UsageError(
                "Nothing is deleted unasked.", next="Look with `backhaul clean --dry-run`, then give --yes."
            )
        if choices["carried"] and (choices["deep"] or choices["to"]):
            raise UsageError("--carried asks no server, so that --to and --deep have nothing to say.")
        finished = () if dry_run else tuple(finish_interrupted(_folders(paths)))
        directories = _found(paths, finished)
        if choices["carried"]:
            verdicts = judge_by_carried_receipts(directories, _options())
        else:
            verdicts = _judged(directories, target, deep=choices["deep"])
        if not dry_run and (yes or _agreed(verdicts)):
            verdicts = clear(verdicts, _options())
    except BackhaulError as error:
        end_with(error, as_json=as_json, runs=[])
    clearing = Clearing(tuple(verdicts), finished)
    if as_json:
        print_document(clearing.as_json())
    show_clearing(clearing, carried=choices["carried"])
    ctx.exit(clearing.exit_code)


def _folders(paths: Sequence[Path]) -> list[Path]:
    """Where an interrupted cleaning of the same paths may have left something."""
    asked = [path.absolute() for path in paths or [default_path(os.environ, here())]]
    return [folder for path in asked for folder in (path, path / "wandb", path.parent)]


def _found(paths: Sequence[Path], finished: Sequence[Path]) -> list[RunDirectory]:
    try:
        return find_runs(paths, env=os.environ, cwd=here())
    except NoRunsFound:
        if finished:
            return []
        raise


def _options() -> SyncOptions:
    return SyncOptions(state_folder=state_folder(), jobs=4, read_back_for=0)


def _judged(directories: Sequence[RunDirectory], target: Target, *, deep: bool) -> list[Verdict]:
    if not directories:
        return []
    with connected(target) as there, progress_view(STDERR, {each.path: 0 for each in directories}) as on_event:
        show_warnings(there.settings.warnings)
        return asyncio.run(_judge(directories, there, Reporter(on_event), deep=deep))


async def _judge(
    directories: Sequence[RunDirectory], there: Connection, reporter: Reporter, *, deep: bool
) -> list[Verdict]:
    async with there.server() as server:
        return await judge(
            directories,
            server=server,
            destination=there.destination,
            options=_options(),
            reporter=reporter,
            deep=deep,
        )


def _agreed(verdicts: Sequence[Verdict]) -> bool:
    proven = [verdict for verdict in verdicts if verdict.fate is Fate.PROVEN]
    if not proven:
        return False
    for verdict in proven:
        click.echo(f"  {verdict.directory.path}", err=True)
    runs = counted(len(proven), "run directory", "run directories")
    question = f"Delete {runs}, {size(sum(verdict.frees for verdict in proven))}?"
    return click.confirm(question, err=True)
