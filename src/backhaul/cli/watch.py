"""`backhaul watch`: bring runs home as they come, until told to stop."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import click

from backhaul.cli.left_out_options import left_out_options
from backhaul.cli.line_options import bwlimit_option, timeout_option
from backhaul.cli.live_options import live_options
from backhaul.cli.queue import queue_option
from backhaul.cli.render import show_error
from backhaul.errors import BackhaulError, Terminated
from backhaul.runs.home import expanded
from backhaul.sync.options import SyncOptions
from backhaul.sync.policy import ArtifactPolicy
from backhaul.sync.state_folder import state_folder
from backhaul.sync.target import Target
from backhaul.unattended.disk_guard import Action, Thresholds
from backhaul.unattended.guarded_folders import GuardedFolders
from backhaul.unattended.queue.interface import Queue
from backhaul.unattended.queue.opening import open_queue
from backhaul.unattended.watch.commands import DEFAULT_FOLDER
from backhaul.unattended.watch.disk_chore import DiskChore, cleaning
from backhaul.unattended.watch.log import Log
from backhaul.unattended.watch.metrics import Metrics
from backhaul.unattended.watch.options import WatchOptions
from backhaul.unattended.watch.service import Service
from backhaul.wire.pace import Timetable

_SECONDS = click.FloatRange(min=0)


@click.command("watch")
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--to", "to", metavar="URL|depot", help="The server; `depot` is your own on this machine.")
@click.option("-e", "--entity", metavar="NAME", help="Send to this entity, whatever the log says.")
@click.option("-p", "--project", metavar="NAME", help="Send to this project, whatever the log says.")
@queue_option
@click.option("--live", is_flag=True, help="Also send runs while they are being recorded.")
@click.option(
    "--live-after",
    metavar="SECONDS",
    type=_SECONDS,
    default=0,
    show_default=True,
    help="With --live: only runs that are so old (s).",
)
@live_options
@click.option(
    "--poll",
    metavar="SECONDS",
    type=click.FloatRange(min=0.2),
    default=15,
    show_default=True,
    help="Seconds between two looks at most.",
)
@click.option("--no-inotify", is_flag=True, help="Look only; have the kernel tell nothing.")
@click.option(
    "-j", "--jobs", metavar="N", type=click.IntRange(1, 64), default=16, show_default=True, help="Runs at a time."
)
@left_out_options
@timeout_option
@bwlimit_option
@click.option(
    "--drain",
    metavar="SECONDS",
    type=_SECONDS,
    default=60,
    show_default=True,
    help="Seconds to finish what is under way on SIGTERM.",
)
@click.option(
    "--lease", metavar="SECONDS", type=click.FloatRange(min=1), default=120, show_default=True,
    help="Seconds after which the runs of a worker that is not heard of go to others.",
)  # fmt: skip
@click.option("--osh-command-dir", "commands", metavar="DIR", type=click.Path(path_type=Path), default=DEFAULT_FOLDER,
              show_default=True, help="Take wandb-osh's command files from here.")  # fmt: skip
@click.option("--no-osh", is_flag=True, help="Take no command files.")
@click.option(
    "--disk-warn",
    metavar="PERCENT",
    type=click.FloatRange(0, 100),
    default=80,
    show_default=True,
    help="Tell when a disk is so full (%).",
)
@click.option(
    "--disk-act",
    metavar="PERCENT",
    type=click.FloatRange(0, 100),
    default=95,
    show_default=True,
    help="Act when a disk is so full (%).",
)
@click.option(
    "--on-disk",
    type=click.Choice(["sync", "clean"]),
    multiple=True,
    default=("sync",),
    show_default=True,
    help="What to do then; may be given several times.",
)
@click.option("--disk-every", metavar="SECONDS", type=click.FloatRange(min=0.1), default=60, hidden=True)
@click.option("--log-json", is_flag=True, help="A line of JSON for each event; by itself when stderr is no terminal.")
@click.option(
    "--metrics-port", metavar="PORT", type=click.IntRange(0, 65535), help="Serve metrics for Prometheus on this port."
)
@click.option(
    "--metrics-address", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Serve them on this address."
)
@click.option(
    "--metrics-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write them here, for node_exporter (*.prom).",
)
@click.pass_context
def command(ctx: click.Context, /, folders: tuple[Path, ...], where: str | None, **choices: Any) -> None:
    """Bring runs home as they come, until told to stop: once their job has ended, or with --live while they grow.

    DIR is any folder above runs; it need not be there yet. What has to be done is in the queue, so that a watcher that
    was stopped, killed, or cut off from the network goes on where it was.
    """
    log = Log(choices["log_json"] or not sys.stderr.isatty())
    try:
        options = _options(folders, choices)
        with open_queue(where) as queue:
            metrics = Metrics()
            if choices["metrics_port"] is not None:
                port = metrics.serve(choices["metrics_address"], choices["metrics_port"])
                log.tell("metrics", address=f"http://{choices['metrics_address']}:{port}/metrics")
            commands = None if choices["no_osh"] else expanded(choices["commands"])
            guard = _disk_guard(queue, options, log, choices)
            service = Service(queue, options, log, metrics, choices["metrics_file"], commands, [guard])
            asyncio.run(_until_signalled(service))
    except BackhaulError as error:
        log.tell("failed", error) if log.as_json else show_error(error)
        ctx.exit(error.exit_code)


def _disk_guard(queue: Queue, options: WatchOptions, log: Log, choices: dict[str, Any]) -> DiskChore:
    actions = tuple(Action(action) for action in choices["on_disk"])
    thresholds = Thresholds(choices["disk_warn"] / 100, choices["disk_act"] / 100, actions)
    clean = cleaning(options.folders, choices["to"], choices["entity"], choices["project"])
    return DiskChore(GuardedFolders(options.folders, thresholds), queue, log, clean, choices["disk_every"])


def _options(folders: tuple[Path, ...], choices: dict[str, Any]) -> WatchOptions:
    if choices["bwlimit"] is not None:
        # One that is wrong is told now, and not by the first run.
        Timetable.of(choices["bwlimit"])
    sync = SyncOptions(
        state_folder=state_folder(),
        jobs=choices["jobs"],
        exclude=choices["exclude"],
        max_file_size=choices["max_file_size"],
        artifacts=ArtifactPolicy.of(choices["only_artifacts"], none=choices["no_artifacts"]),
        live=choices["live"],
        live_every=choices["live_every"],
        dead_after=choices["dead_after"],
    )
    return WatchOptions(
        folders=tuple(folder.absolute() for folder in folders),
        target=Target(
            choices["to"], choices["entity"], choices["project"], None, choices["timeout"], choices["bwlimit"]
        ),
        sync=sync,
        live_after=choices["live_after"] if choices["live"] else None,
        poll=choices["poll"],
        inotify=not choices["no_inotify"],
        lease=choices["lease"],
        drain=choices["drain"],
        # As many again are in hand, so that those on their way are never too few.
        at_once=2 * choices["jobs"],
    )


async def _until_signalled(service: Service) -> None:
    """Stop at the first SIGTERM or SIGINT, in a hurry at the second. Raises Terminated when work was cut off."""
    stop, hurry = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    if not await service.run(stop, hurry):
        raise Terminated("Runs were on their way when the time to finish (--drain) was over.")
