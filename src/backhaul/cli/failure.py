"""How a command ends that an error has stopped."""

from __future__ import annotations

from typing import NoReturn

import click

from backhaul.cli.document import print_document
from backhaul.cli.render import show_error
from backhaul.errors import BackhaulError


def end_with(error: BackhaulError, *, as_json: bool, **document: object) -> NoReturn:
    """Tell people of the error, and programs too, in the `document` of the command; end with its exit code."""
    if as_json:
        print_document({**document, "error": error.as_json(), "exit_code": error.exit_code})
    show_error(error)
    click.get_current_context().exit(error.exit_code)
