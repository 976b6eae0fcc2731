"""The `backhaul` command: finds the subcommand's file, and turns every error into three sentences and an exit code."""

from __future__ import annotations

import atexit
import gc
import importlib
import sys
from typing import TYPE_CHECKING

import click

from backhaul.cli import standard_files
from backhaul.errors import BackhaulError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_COMMANDS = {
    "sync": "Bring runs to a server, and prove that they arrived.",
    "status": "Show where runs stand: waiting, begun, verified. No network.",
    "doctor": "Find out why runs are stuck, with evidence, and what to do.",
    "verify": "Ask the server whether it holds runs whole; sends nothing.",
    "clean": "Delete runs that are home: proved, unchanged, and confirmed by the server.",
    "watch": "Bring runs home as they come, until told to stop.",
    "queue": "See and steer the queue of runs on their way home.",
    "pack": "Put runs with all their payloads into one file, to carry them across an air gap.",
    "unpack": "Take the runs out of a bundle.",
    "receipt": "Receipts that were carried back from the other side of an air gap.",
    "repair": "Write a new, valid log of everything that can still be read of a run.",
    "run": "Run a training job, pass signals on to it, and bring home what it recorded.",
    "init": "Print a commented file for a scheduler: Slurm, PBS, systemd, cron, AWS, Kubernetes.",
    "show": "Look at a run in the terminal: identity, config, metrics, files, damage.",
    "export": "Write a run's rows to a CSV, JSON Lines, Parquet or Arrow file.",
    "depot": "Run our own W&B-compatible server.",
    "demo": "Record three real runs, sync them to a depot, and show what arrived.",
    "completion": "Print the script by which bash, zsh or fish complete what you type.",
}


# Cycles are looked for less often than Python does by itself: rows, requests and answers make none, and to look through
# all that is alive took a twelfth of the time.
_SELDOM, _AS_PYTHON_DOES = (100_000, 20, 20), (700, 10, 10)
# These stay for months beside the jobs: what they hold counts for more than the time of looking.
_STAY = frozenset({"watch"})


class _LazyGroup(click.Group):
    """Imports a command's file when it is asked for, so that `--help` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"backhaul.cli.{cmd_name}").command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        # Imported when a shell asks; and the names come from here, since importing all commands takes a second.
        from click.shell_completion import CompletionItem

        names = [CompletionItem(name, help=text) for name, text in _COMMANDS.items() if name.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="backhaul", prog_name="backhaul")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Bring offline Weights & Biases runs home: every run, every row, with proof."""
    if ctx.invoked_subcommand in _STAY:
        gc.set_threshold(*_AS_PYTHON_DOES)


def main() -> None:
    """Run the command line. Known errors end it with their exit code, unknown ones with 1; none shows a traceback."""
    standard_files.make_ready()
    gc.set_threshold(*_SELDOM)
    # At its end Python looks through all that is alive for garbage; the system takes it back anyway.
    atexit.register(gc.freeze)
    try:
        # Outside of its standalone mode click gives back what a command told `ctx.exit`, instead of ending with it.
        sys.exit(cli.main(standalone_mode=False))
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BackhaulError as error:
        _show(error)
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 - the last door: whatever comes here is a bug of ours, and is told as one.
        _show(BackhaulError(f"{type(error).__name__}: {error}"))
        sys.exit(1)


def _show(error: BackhaulError) -> None:
    # Here, since it brings in most of the house: `backhaul run` starts a job without any of it.
    from backhaul.cli.render import show_error

    show_error(error)
