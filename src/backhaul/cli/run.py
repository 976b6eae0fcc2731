"""`backhaul run`: a training job, and its runs brought home afterwards."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import click

from backhaul.cli.line_options import timeout_option
from backhaul.sync.target import Target
from backhaul.unattended.choices import Choices
from backhaul.unattended.disk_guard import CHOICES, Action, Thresholds
from backhaul.unattended.job import JobEnd, JobNotStarted, leave_like
from backhaul.unattended.job_environment import is_wrapped
from backhaul.unattended.voice import Voice
from backhaul.unattended.wrapper import run


class _Signal(click.ParamType[int]):
    name = "signal"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        name = str(value).upper()
        try:
            return int(signal.Signals[name if name.startswith("SIG") else f"SIG{name}"])
        except KeyError:
            self.fail(f"{value!r} is no signal; give a name such as USR1 or TERM.", param, ctx)


_SIGNAL = _Signal()
_PERCENT = click.FloatRange(min=0, max=100)
_ON_DISK = [str(action) for action in CHOICES]


@click.command("run", context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False})
@click.argument("job", metavar="COMMAND [ARGUMENT]...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "--sync/--no-sync", default=True, show_default=True, help="Send the runs, or only put them into the queue."
)
@click.option(
    "--deadline",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=60,
    show_default=True,
    help="Seconds for sending, from the job's end or from the signal that announces it.",
)
@click.option(
    "--dir", "folders", multiple=True, metavar="DIR", type=click.Path(path_type=Path), help="Where runs are made."
)
@click.option(
    "--to", "to", metavar="URL|depot", help="The server; `depot` is your own on this machine, and needs no key."
)
@click.option("-e", "--entity", metavar="NAME", help="Send to this entity, whatever the log says.")
@click.option("-p", "--project", metavar="NAME", help="Send to this project, whatever the log says.")
@timeout_option
@click.option("--queue", "queue", metavar="PATH|URL", envvar="BACKHAUL_QUEUE", help="The queue in which runs wait.")
@click.option(
    "--drain-on",
    metavar="SIGNAL",
    type=_SIGNAL,
    multiple=True,
    default=("USR1",),
    show_default=True,
    help="Begin to send at this signal, as at TERM.",
)
@click.option(
    "--cloud",
    type=click.Choice(["auto", "off", "aws", "gcp", "azure"]),
    default="auto",
    show_default=True,
    help="Whose notices of interruption to wait for.",
)
@click.option("--metadata-url", metavar="URL", envvar="BACKHAUL_METADATA_URL", help="Where the notices come from.")
@click.option(
    "--notice-signal", metavar="SIGNAL", type=_SIGNAL, help="Send this to the job when its machine will be taken away."
)
@click.option(
    "--disk-warn",
    metavar="PERCENT",
    type=_PERCENT,
    default=80,
    show_default=True,
    help="Warn when the disk is so full.",
)
@click.option(
    "--disk-act", metavar="PERCENT", type=_PERCENT, default=95, show_default=True, help="Act when the disk is so full."
)
@click.option(
    "--on-disk",
    type=click.Choice(_ON_DISK),
    multiple=True,
    default=("sync",),
    show_default=True,
    help="What to do then; may be given several times.",
)
@click.option(
    "--disk-signal",
    metavar="SIGNAL",
    type=_SIGNAL,
    default="USR2",
    show_default=True,
    help="What `--on-disk signal` sends to the job.",
)
@click.option("--disk-every", metavar="SECONDS", type=click.FloatRange(min=0.1), default=10, hidden=True)
@click.option("--log", "log", metavar="FILE", type=click.Path(path_type=Path), help="Write there what we have to say.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing.")
def command(job: tuple[str, ...], log: Path | None, quiet: bool, **choices: Any) -> None:
    """Run a training job, pass signals on to it, and bring home what it recorded.

    The job records offline, has our input and output, and ends us with its own exit code, whatever becomes of the
    sync. What could not be sent in time waits in the queue.
    """
    voice = Voice(log, quiet=quiet)
    if is_wrapped(os.environ):
        _become(job, voice)
    try:
        end = run(job, _choices(choices), os.environ, voice)
    except JobNotStarted as error:
        voice.say(str(error))
        end = JobEnd(error.exit_code)
    leave_like(end)


def _become(job: tuple[str, ...], voice: Voice) -> None:
    """Within another wrapper there is nothing for us to do."""
    try:
        os.execvp(job[0], job)
    except OSError as error:
        voice.say(f"{job[0]}: {error.strerror}")
        leave_like(JobEnd(127 if isinstance(error, FileNotFoundError) else 126))


def _choices(choices: dict[str, Any]) -> Choices:
    return Choices(
        sync=choices["sync"],
        deadline=choices["deadline"],
        folders=tuple(folder.absolute() for folder in choices["folders"]),
        target=Target(choices["to"], choices["entity"], choices["project"], timeout=choices["timeout"]),
        drain_on=choices["drain_on"],
        notice_signal=choices["notice_signal"],
        disk_signal=choices["disk_signal"],
        thresholds=Thresholds(
            warn=choices["disk_warn"] / 100,
            act=choices["disk_act"] / 100,
            actions=tuple(Action(action) for action in choices["on_disk"]),
        ),
        disk_every=choices["disk_every"],
        cloud=choices["cloud"],
        metadata_url=choices["metadata_url"] or None,
        queue=choices["queue"] or None,
    )
