"""`backhaul depot`: run our own W&B-compatible server."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from backhaul.cli.depot_forward import command as forward_command
from backhaul.cli.depot_migrate import command as migrate_command
from backhaul.cli.depot_place import blobs_options, direct_options, place_arguments, place_of, place_options
from backhaul.cli.depot_user import user
from backhaul.cli.parent import end_with_parent
from backhaul.cli.quantities import BYTES
from backhaul.cli.render import STDERR
from backhaul.depot import Depot, Place, PlaceRefused, PlaceUnreachable, Reach, Refused, log
from backhaul.errors import ConfigurationError, TemporaryError, UsageError
from backhaul.relay.companion import companion
from backhaul.sync.depot_folder import ADDRESS_FILE, DATABASE_VARIABLE

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

_IN_THE_CLEAR = (
    "[yellow]Warning:[/] the depot listens beyond this machine without TLS: keys and data cross the network readable. "
    "Give --tls-cert and --tls-key, or put a proxy with TLS before it and say so with --public-url."
)


@click.group("depot", invoke_without_command=True)
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", metavar="PORT", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0 takes a free one."
)
@click.option("--entity", metavar="NAME", help="Where runs go that name no entity; your user name by default.")
@click.option(
    "--tls-cert", metavar="FILE", type=_FILE, help="Speak TLS, with this certificate (PEM, its chain may follow)."
)
@click.option(
    "--tls-key", metavar="FILE", type=_FILE, help="The certificate's key (PEM), if it is not in the same file."
)
@click.option("--public-url", metavar="URL", help="The address that clients use, where a proxy stands before.")
@click.option(
    "--forwarded-allow-ips", metavar="IPS", help="Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed."
)
@click.option("--max-file-size", type=BYTES, metavar="SIZE", help="Refuse larger files (500M, 20G).")
@blobs_options
@direct_options
@click.option("--forward", metavar="URL", help="Pass everything on to this server, whenever the way is open.")
@click.option("--forward-entity", metavar="ENTITY", help="Pass everything on to this entity there.")
@click.option("--with-parent", is_flag=True, hidden=True, help="Stop when standard input is closed.")
@place_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    host: str,
    port: int,
    entity: str | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    public_url: str | None,
    forwarded_allow_ips: str | None,
    max_file_size: int | None,
    forward: str | None,
    forward_entity: str | None,
    with_parent: bool,
    **where: Any,
) -> None:
    """Run a W&B-compatible server on this machine. The unmodified wandb SDK can log to it."""
    place = place_of(where, None)
    if ctx.invoked_subcommand is not None:
        ctx.obj = place
        return
    if with_parent:
        end_with_parent()
    log.to_stderr()
    if tls_key and not tls_cert:
        raise UsageError("--tls-key belongs to a --tls-cert.")
    try:
        reach = Reach(tls_cert, tls_key, public_url, forwarded_allow_ips)
    except ValueError as error:
        raise UsageError(f"{error}.") from error
    os.umask(0o077)  # what is in the store is for whoever runs the depot, and for others through the depot only
    with _told(place), ExitStack() as stack:
        depot = Depot(place, entity, max_file_size)
        if reach.in_the_clear(host):
            STDERR.print(_IN_THE_CLEAR)
        if forward:
            if place.database:  # not on a command line, which everybody can read
                os.environ[DATABASE_VARIABLE] = place.database
            stack.enter_context(companion(_forwarding(place, depot.entity, forward, forward_entity)))
        try:
            depot.run(host, port, lambda url: _announce(depot, place, public_url or url), reach)
        finally:
            if not place.shared:
                (place.data / ADDRESS_FILE).unlink(missing_ok=True)


def _forwarding(place: Place, entity: str, to: str, to_entity: str | None) -> list[str]:
    """The command line of a process that passes on what is in `place`: its failure is not the depot's failure."""
    command = [sys.executable, "-m", "backhaul", "depot", "forward", *place_arguments(place), "--with-parent"]
    command += ["--from-entity", entity, "--to", to]
    return command + (["--entity", to_entity] if to_entity else [])


@contextmanager
def _told(place: Place) -> Iterator[None]:
    """Says in the words of the command line why a depot cannot start."""
    try:
        yield
    except PlaceUnreachable as error:
        raise TemporaryError(
            f"The depot cannot start: {error}.",
            safe="What the depot holds is unchanged.",
            next="Start it again when the object store and the database answer.",
        ) from error
    except PlaceRefused as error:
        raise ConfigurationError(
            f"The depot cannot keep its blobs there: {error}.",
            next="Mend --blobs, --s3-endpoint, the bucket or the AWS settings named above, then start again.",
        ) from error
    except (RuntimeError, Refused) as error:
        raise ConfigurationError(f"The depot cannot use {place}: {error}.") from error
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"The depot cannot use its certificate: {error}.", next="Give PEM files that belong together."
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"The depot cannot start: {error}.", next="Choose another --port, --data or --db."
        ) from error


command.add_command(user)
command.add_command(forward_command)
command.add_command(migrate_command)


@command.command("key")
@place_options
@click.pass_context
def key(ctx: click.Context, /, **where: Any) -> None:
    """Print the operator's API key."""
    place = place_of(where, ctx.obj)
    with _told(place):
        print(Depot.key_of(place))


def _announce(depot: Depot, place: Place, url: str) -> None:
    """Say where the depot is: to programs on stdout, to people on stderr, and to other commands by a file."""
    if not place.shared:
        (place.data / ADDRESS_FILE).write_text(f"{url}\n{depot.sign_in_address(url)}\n")
    print(url, flush=True)
    STDERR.print(f"The depot is at {url} (data in {place}). Stop it with Ctrl-C.")
    STDERR.print(f"  look:  {depot.sign_in_address(url)}", soft_wrap=True)
    where = "--db …" if place.shared else f"--data {place.data}"
    STDERR.print(f"  log:   WANDB_BASE_URL={url} WANDB_API_KEY=$(backhaul depot key {where})", soft_wrap=True)
