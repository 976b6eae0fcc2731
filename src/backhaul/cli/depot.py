"""`backhaul depot`: run our own W&B-compatible server."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import click

from backhaul.cli.depot_folder import ADDRESS_FILE, data_option, default_data_folder
from backhaul.cli.depot_user import user
from backhaul.cli.render import STDERR
from backhaul.depot import Depot, log
from backhaul.errors import ConfigurationError


@click.group("depot", invoke_without_command=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0 takes a free one.")
@click.option("--entity", help="Where runs go that name no entity; your user name by default.")
@click.option("--with-parent", is_flag=True, hidden=True, help="Stop when standard input is closed.")
@data_option
@click.pass_context
def command(ctx: click.Context, host: str, port: int, entity: str | None, with_parent: bool, data: Path | None) -> None:
    """Run a W&B-compatible server on this machine. The unmodified wandb SDK can log to it."""
    if ctx.invoked_subcommand is not None:
        ctx.obj = data
        return
    folder = data or default_data_folder()
    if with_parent:
        threading.Thread(target=_stop_with_parent, daemon=True).start()
    log.to_stderr()
    try:
        depot = Depot.open(folder, entity)
        depot.run(host, port, on_ready=lambda url: _announce(depot, folder, url))
    except RuntimeError as error:
        raise ConfigurationError(f"The depot cannot use {folder}: {error}.") from error
    except OSError as error:
        raise ConfigurationError(
            f"The depot cannot start: {error}.", next="Choose another --port or --data."
        ) from error
    finally:
        (folder / ADDRESS_FILE).unlink(missing_ok=True)


command.add_command(user)


@command.command("key")
@data_option
@click.pass_context
def key(ctx: click.Context, data: Path | None) -> None:
    """Print the operator's API key."""
    print(Depot.key_of(data or ctx.obj or default_data_folder()))


def _announce(depot: Depot, folder: Path, url: str) -> None:
    """Say where the depot is: to other commands by a file, to programs on stdout, to people on stderr."""
    (folder / ADDRESS_FILE).write_text(f"{url}\n{depot.sign_in_address(url)}\n")
    print(url, flush=True)
    STDERR.print(f"The depot is at {url} (data in {folder}). Stop it with Ctrl-C.")
    STDERR.print(f"  look:  {depot.sign_in_address(url)}", soft_wrap=True)
    STDERR.print(f"  log:   WANDB_BASE_URL={url} WANDB_API_KEY=$(backhaul depot key --data {folder})", soft_wrap=True)


def _stop_with_parent() -> None:
    """A depot that serves one command ends with it, even if that command is killed."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
