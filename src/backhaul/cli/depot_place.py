"""The options that name where a depot keeps what it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from backhaul.depot import Place, S3Place
from backhaul.errors import UsageError
from backhaul.sync.depot_folder import DATABASE_VARIABLE, default_data_folder


def place_options(function: click.decorators.FC) -> click.decorators.FC:
    """The options that name a depot's place, the same for every command of the depot."""
    data = click.option("--data", metavar="FOLDER", type=click.Path(path_type=Path), help="The data folder.")
    text = "The PostgreSQL database of everything but files, for several depots at once."
    return data(click.option("--db", metavar="URL", envvar=DATABASE_VARIABLE, help=text)(function))


def blobs_options(function: click.decorators.FC) -> click.decorators.FC:
    """Where the bytes of files are, for the commands that need them."""
    for option in (
        click.option("--s3-endpoint", metavar="URL", help="The object store's address; Amazon's own by default."),
        click.option("--blobs", metavar="s3://BUCKET/PREFIX", help="Keep the bytes of files there, not in the folder."),
    ):
        function = option(function)
    return function


def direct_options(function: click.decorators.FC) -> click.decorators.FC:
    """How clients bring bytes to an object store, for the depot that sends them there."""
    for option in (
        click.option("--no-direct-uploads", is_flag=True, help="Let all bytes of uploads pass through the depot."),
        click.option("--s3-public-endpoint", metavar="URL", help="The object store's address for clients."),
    ):
        function = option(function)
    return function


def place_of(choices: dict[str, Any], above: Place | None) -> Place:
    """The place that the options name, which it takes out of `choices`; what they leave open is as `above` says."""
    data: Path | None = choices.pop("data")
    database: str | None = choices.pop("db")
    blobs = _blobs(
        choices.pop("blobs", None),
        choices.pop("s3_endpoint", None),
        choices.pop("s3_public_endpoint", None),
        not choices.pop("no_direct_uploads", False),
    )
    if above is None:
        return Place(data or default_data_folder(), blobs, database)
    return Place(data or above.data, blobs or above.blobs, database or above.database)


def _blobs(blobs: str | None, endpoint: str | None, public_endpoint: str | None, direct: bool) -> S3Place | None:
    if blobs is None:
        if endpoint or public_endpoint or not direct:
            raise UsageError("The options about an object store belong to --blobs s3://BUCKET/PREFIX.")
        return None
    try:
        return S3Place.parse(blobs, endpoint, public_endpoint, direct)
    except ValueError as error:
        raise UsageError(f"{error}.") from error


def place_arguments(place: Place) -> list[str]:
    """The options that name the place, for the command line of another process; not so the database.

    Its address may hold a password, and everybody on the machine can read command lines.
    """
    arguments = ["--data", str(place.data)]
    if place.blobs:
        arguments += ["--blobs", str(place.blobs)]
        arguments += ["--s3-endpoint", place.blobs.endpoint] if place.blobs.endpoint else []
    return arguments
