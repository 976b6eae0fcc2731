"""`backhaul sync`: bring runs to a server, and prove that they arrived."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from backhaul.cli.document import print_document
from backhaul.cli.left_out_options import left_out_options
from backhaul.cli.line_options import bwlimit_option, timeout_option
from backhaul.cli.live_options import live_options
from backhaul.cli.opened import bundles_json, opened
from backhaul.cli.plan_view import planned
from backhaul.cli.progress import progress_view
from backhaul.cli.render import STDERR, show_error, show_outcomes, show_warnings
from backhaul.errors import BackhaulError, DeadlineReached, Interrupted, TemporaryError, Terminated, UsageError
from backhaul.runs.directory import RunDirectory
from backhaul.runs.roots import Roots, roots_of
from backhaul.sync.at_once import MOST_RUNS
from backhaul.sync.connection import Connection, connected, destination_of, user_settings
from backhaul.sync.door import deliver, wanted_runs
from backhaul.sync.event import Event
from backhaul.sync.options import SyncOptions
from backhaul.sync.policy import ArtifactPolicy
from backhaul.sync.report import Report
from backhaul.sync.state_folder import state_folder
from backhaul.sync.target import Target

_GOES_ON = frozenset(kind.exit_code for kind in (TemporaryError, DeadlineReached, Interrupted, Terminated))


@click.command("sync")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--to", "to", metavar="URL|depot", help="The server; `depot` is your own on this machine, and needs no key."
)
@click.option("-e", "--entity", metavar="NAME", help="Send to this entity, whatever the log says.")
@click.option("-p", "--project", metavar="NAME", help="Send to this project, whatever the log says.")
@click.option("--id", "run_id", metavar="ID", help="Send under this run id (one run only).")
@click.option(
    "-j",
    "--jobs",
    metavar="N",
    type=click.IntRange(1, 256),
    default=MOST_RUNS,
    show_default=True,
    help="Runs at a time, at most.",
)
@click.option(
    "--root", "roots", multiple=True, metavar="OLD=NEW", help="What was recorded under OLD lies under NEW now."
)
@left_out_options
@timeout_option
@bwlimit_option
@click.option(
    "--deadline",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    help="Stop after so many seconds; keep trying until then.",
)
@click.option("--force", is_flag=True, help="Overwrite what the destination holds under this run id.")
@click.option("--live", is_flag=True, help="Follow runs that are still being recorded, until they end.")
@live_options
@click.option("--signed-by", metavar="FINGERPRINT", help="Refuse a bundle that was not signed with this key.")
@click.option("--dry-run", is_flag=True, help="Say what would be sent; no network.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.option("--json-lines", "as_lines", is_flag=True, help="A line of JSON on stdout for each thing that happens.")
@click.pass_context
def command(
    ctx: click.Context, /, paths: tuple[Path, ...], as_json: bool, as_lines: bool, dry_run: bool, **choices: Any
) -> None:
    """Bring runs to a server, and prove that they arrived.

    PATH is a run directory, a .wandb file, a wandb folder, any folder above one, or a bundle; without it, $WANDB_DIR or
    the current folder. What was acknowledged is remembered, so the same command goes on where it stopped.
    """
    tell = _teller(as_json=as_json, as_lines=as_lines)
    target = Target(
        choices["to"],
        choices["entity"],
        choices["project"],
        choices["run_id"],
        choices["timeout"],
        choices["bwlimit"],
    )
    try:
        with opened(paths, signed_by=choices["signed_by"]) as visit:
            if visit.bundles and choices["live"]:
                raise UsageError("A bundle does not grow: --live is for run directories.")
            directories = wanted_runs(visit.paths, target.run_id)
            if dry_run:
                report, exit_code = _planned(directories, target, roots_of(choices["roots"])), 0
            else:
                report = _delivered(directories, target, _options(choices), as_lines=as_lines)
                exit_code = visit.exit_code(report.exit_code)
            # What an interrupted sync would need again.
            visit.keep = exit_code in _GOES_ON
    except BackhaulError as error:
        tell({"runs": [], "error": error.as_json(), "exit_code": error.exit_code})
        show_error(error)
        ctx.exit(error.exit_code)
    tell(report.as_json() | bundles_json(visit) | {"exit_code": exit_code})
    show_outcomes(report.runs)
    ctx.exit(exit_code)


def _planned(directories: Sequence[RunDirectory], target: Target, roots: Roots) -> Report:
    settings = user_settings()
    show_warnings(settings.warnings)
    return Report(tuple(planned(directories, destination_of(target, settings), state_folder(), roots)))


def _teller(*, as_json: bool, as_lines: bool) -> Callable[[dict[str, Any]], None]:
    """How the document at the end is told: alone, as the last line of several, or not at all."""
    if as_json and as_lines:
        raise click.UsageError("--json and --json-lines are two forms of the same; choose one.")

    def tell(document: dict[str, Any]) -> None:
        if as_json:
            print_document(document)
        elif as_lines:
            _print_line({"event": "report", **document})

    return tell


def _print_line(document: dict[str, Any]) -> None:
    print_document(document)
    # Whoever reads it wants to know now, and stdout is a pipe.
    sys.stdout.flush()


def _options(choices: dict[str, Any]) -> SyncOptions:
    return SyncOptions(
        state_folder=state_folder(),
        jobs=choices["jobs"],
        exclude=choices["exclude"],
        max_file_size=choices["max_file_size"],
        roots=roots_of(choices["roots"]),
        artifacts=ArtifactPolicy.of(choices["only_artifacts"], none=choices["no_artifacts"]),
        force=choices["force"],
        deadline=choices["deadline"],
        live=choices["live"],
        live_every=choices["live_every"],
        dead_after=choices["dead_after"],
    )


def _delivered(directories: Sequence[RunDirectory], target: Target, options: SyncOptions, *, as_lines: bool) -> Report:
    with connected(target) as there:
        show_warnings(there.settings.warnings)
        with progress_view(STDERR, _log_sizes(directories)) as show:

            def on_event(event: Event) -> None:
                show(event)
                if as_lines:
                    _print_line(event.as_json())

            return asyncio.run(_until_stopped(directories, there, options, on_event))


async def _until_stopped(
    directories: Sequence[RunDirectory], there: Connection, options: SyncOptions, on_event: Callable[[Event], None]
) -> Report:
    stopped = _stop_on_signals(asyncio.current_task())
    return await deliver(directories, there, options, on_event, lambda: _interrupted(stopped))


def _log_sizes(directories: Sequence[RunDirectory]) -> dict[Path, int]:
    """The bytes of each log, by run directory; 0 where it cannot be looked at."""
    return {directory.path: _size(directory.log) for directory in directories}


def _size(log: Path) -> int:
    try:
        return log.stat().st_size
    except OSError:
        return 0


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
