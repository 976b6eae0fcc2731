"""`backhaul depot migrate`: move a depot to PostgreSQL and an object store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from backhaul.cli.render import STDERR
from backhaul.depot import PlaceUnreachable, Refused, S3Place
from backhaul.errors import ConfigurationError, TemporaryError, UsageError, VerificationFailed
from backhaul.sync.depot_folder import DATABASE_VARIABLE, default_data_folder

_SAFE = "The depot in the folder is as it was, and can be started again."
_AGAIN = "Run the same command again: it goes on where it was interrupted."


@click.command("migrate")
@click.option("--from", "folder", metavar="FOLDER", type=click.Path(path_type=Path), help="The data folder.")
@click.option(
    "--to-db", metavar="URL", envvar=DATABASE_VARIABLE, help="The empty PostgreSQL database for everything but files."
)
@click.option(
    "--to-blobs", metavar="s3://BUCKET/PREFIX", required=True, help="The place for the bytes of files, empty as well."
)
@click.option("--s3-endpoint", metavar="URL", help="The object store's address; Amazon's own by default.")
def command(folder: Path | None, to_db: str | None, to_blobs: str, s3_endpoint: str | None) -> None:
    """Move a depot from a data folder to PostgreSQL and an object store.

    Everything is compared there: each table's rows, each blob's size and MD5, read back. The folder is only read.
    """
    source = folder or default_data_folder()
    try:
        place = S3Place.parse(to_blobs, s3_endpoint)
    except ValueError as error:
        raise UsageError(f"{error}.") from error
    with _told(source):
        _move(source, place, to_db)
    STDERR.print("Everything is there. From now on start the depot with:")
    endpoint = f" --s3-endpoint {s3_endpoint}" if s3_endpoint else ""
    where = f"{DATABASE_VARIABLE}=… backhaul depot" if to_db else f"backhaul depot --data {source}"
    STDERR.print(f"  {where} --blobs {place}{endpoint}", soft_wrap=True)


def _move(source: Path, place: S3Place, database: str | None) -> None:
    try:
        from backhaul.depot.migration import Different, Target, migrate
    except ImportError as error:
        raise ConfigurationError(
            "Moving a depot needs packages that are not there.", next="pip install 'backhaul[s3,postgres]'"
        ) from error
    try:
        migrate(source, Target(place, database), lambda line: STDERR.print(line, soft_wrap=True))
    except Different as error:
        raise VerificationFailed(
            f"The depot was not moved: {error}.", safe=_SAFE, next="Look at what is named above, then run it again."
        ) from error


@contextmanager
def _told(source: Path) -> Iterator[None]:
    """Says in the words of the command line why a depot cannot be moved."""
    try:
        yield
    except PlaceUnreachable as error:
        raise TemporaryError(f"The depot cannot be moved now: {error}.", safe=_SAFE, next=_AGAIN) from error
    except Refused as refused:
        kind = TemporaryError if refused.status >= 500 else ConfigurationError
        raise kind(f"The depot was not moved to its end: {refused.message}.", safe=_SAFE, next=_AGAIN) from refused
    except (RuntimeError, OSError) as error:
        raise ConfigurationError(f"The depot in {source} cannot be moved: {error}.", safe=_SAFE) from error
