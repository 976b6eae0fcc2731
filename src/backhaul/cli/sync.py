"""`backhaul sync`: bring runs to a server, and prove that they arrived."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from backhaul.cli.connection import Connection, connection, destination, user_settings
from backhaul.cli.plan_view import planned
from backhaul.cli.progress import ProgressReporter
from backhaul.cli.quantities import BYTES
from backhaul.cli.render import STDERR, show_error, show_outcomes
from backhaul.cli.state_folder import state_folder
from backhaul.errors import BackhaulError, Interrupted, Terminated
from backhaul.runs.directory import RunDirectory
from backhaul.runs.find import find_runs
from backhaul.sync.engine import Engine
from backhaul.sync.options import SyncOptions
from backhaul.sync.outcome import Outcome, overall_exit_code


@click.command("sync")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--to", "to", metavar="URL|depot", help="The server; `depot` is your own on this machine, and needs no key."
)
@click.option("-e", "--entity", help="Send to this entity, whatever the log says.")
@click.option("-p", "--project", help="Send to this project, whatever the log says.")
@click.option("--id", "run_id", help="Send under this run id (one run only).")
@click.option("-j", "--jobs", type=click.IntRange(1, 64), default=4, show_default=True, help="Runs at a time.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out files whose name matches.")
@click.option("--max-file-size", type=BYTES, metavar="SIZE", help="Leave out larger files (500K, 20M, 2G).")
@click.option(
    "--timeout", type=click.FloatRange(min=0.1), default=60, show_default=True, help="Seconds without a byte."
)
@click.option("--deadline", type=click.FloatRange(min=0), help="Stop after so many seconds; keep trying until then.")
@click.option("--force", is_flag=True, help="Overwrite what the destination holds under this run id.")
@click.option("--live", is_flag=True, help="Follow runs that are still being recorded, until they end.")
@click.option(
    "--live-every", type=click.FloatRange(min=0.5), default=15, show_default=True, help="Seconds between two readings."
)
@click.option(
    "--dead-after",
    type=click.FloatRange(min=1),
    default=900,
    show_default=True,
    help="Seconds without growth after which a writer that cannot be seen counts as dead.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be sent; no network.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(ctx: click.Context, /, paths: tuple[Path, ...], as_json: bool, dry_run: bool, **choices: Any) -> None:
    """Bring runs to a server, and prove that they arrived.

    PATH is a run directory, a .wandb file, a wandb folder or any folder above one; without it, $WANDB_DIR or the
    current folder. What was acknowledged is remembered beside the log, so the same command goes on where it stopped.
    """
    try:
        directories = find_runs(paths, env=os.environ, cwd=Path.cwd())
        if choices["run_id"] and len(directories) > 1:
            raise click.UsageError("--id is for one run, and there are more under this path.")
        if dry_run:
            outcomes = planned(directories, destination(choices, user_settings()), state_folder())
            exit_code = 0
        else:
            outcomes = _deliver(directories, choices)
            exit_code = overall_exit_code(outcomes)
    except BackhaulError as error:
        if as_json:
            print(json.dumps({"runs": [], "error": error.as_json(), "exit_code": error.exit_code}))
        show_error(error)
        ctx.exit(error.exit_code)
    if as_json:
        runs = [outcome.as_json() for outcome in outcomes]
        print(json.dumps({"runs": runs, "exit_code": exit_code}, ensure_ascii=False))
    show_outcomes(outcomes)
    ctx.exit(exit_code)


def _deliver(directories: Sequence[RunDirectory], choices: dict[str, Any]) -> list[Outcome]:
    with connection(choices) as there, ProgressReporter(STDERR) as reporter:
        return asyncio.run(_sync(directories, choices, there, reporter))


async def _sync(
    directories: Sequence[RunDirectory], choices: dict[str, Any], there: Connection, reporter: ProgressReporter
) -> list[Outcome]:
    options = SyncOptions(
        state_folder=state_folder(),
        jobs=choices["jobs"],
        exclude=(*there.settings.ignore_globs, *choices["exclude"]),
        max_file_size=choices["max_file_size"],
        force=choices["force"],
        deadline=choices["deadline"],
        live=choices["live"],
        live_every=choices["live_every"],
        dead_after=choices["dead_after"],
    )
    stopped = _stop_on_signals(asyncio.current_task())
    async with there.server() as server:
        engine = Engine(server, there.destination, options, reporter)
        try:
            return await engine.sync(directories)
        except asyncio.CancelledError:
            return engine.stopped(_interrupted(stopped))


def _stop_on_signals(task: asyncio.Task[Any] | None) -> list[int]:
    """Cancel the work on the first SIGINT or SIGTERM; the list then holds which it was."""
    received: list[int] = []

    def stop(number: int) -> None:
        received.append(number)
        if task is not None:
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    return received


def _interrupted(received: list[int]) -> Interrupted:
    if received and received[0] == signal.SIGTERM:
        return Terminated("Asked to end by SIGTERM.")
    return Interrupted("Stopped by Ctrl-C.")
