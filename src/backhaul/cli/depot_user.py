"""`backhaul depot user`: let others in, each with a key of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from backhaul.cli.depot_place import place_of, place_options
from backhaul.depot import Depot, Place, Refused, Role, User, Users, new_key
from backhaul.errors import ConfigurationError, UsageError

_ROLES = click.Choice([role.value for role in Role])


def _role_option(function: click.decorators.FC) -> click.decorators.FC:
    text = "An admin does everything; a member reads and writes, a viewer reads, their own runs and their teams'."
    return click.option("--role", type=_ROLES, default=Role.MEMBER.value, show_default=True, help=text)(function)


def _entity_option(function: click.decorators.FC) -> click.decorators.FC:
    text = "A team they belong to, beside the entity of their own name. May be given several times."
    return click.option("-e", "--entity", "teams", metavar="TEAM", multiple=True, help=text)(function)


@click.group("user")
def user() -> None:
    """Let others in, each with a key of their own. Works while the depot runs, and counts at once."""


@user.command("add")
@click.argument("name")
@_role_option
@_entity_option
@place_options
@click.pass_obj
def add(above: Place | None, /, name: str, role: str, teams: tuple[str, ...], **where: Any) -> None:
    """Let NAME in and print their key. It is shown this once: the depot keeps its hash only."""
    with _users(place_of(where, above)) as users:
        if users.by_name(name) is not None:
            raise UsageError(f"{name!r} is in already.", next="backhaul depot user change, or user key")
        key = new_key()
        users.put(_described(name, role, teams), key)
    click.echo(key)


@user.command("change")
@click.argument("name")
@_role_option
@_entity_option
@place_options
@click.pass_obj
def change(above: Place | None, /, name: str, role: str, teams: tuple[str, ...], **where: Any) -> None:
    """Give NAME this role and these teams instead of those before. The key stays."""
    with _users(place_of(where, above)) as users:
        users.change(_described(name, role, teams))


@user.command("list")
@place_options
@click.pass_obj
def show(above: Place | None, /, **where: Any) -> None:
    """Print everybody's name, role and entities, a line each, with tabs between."""
    with _users(place_of(where, above)) as users:
        for each in users.every():
            click.echo(f"{each.name}\t{each.role}\t{','.join([each.name, *sorted(each.teams)])}")


@user.command("remove")
@click.argument("name")
@place_options
@click.pass_obj
def remove(above: Place | None, /, name: str, **where: Any) -> None:
    """Let NAME in no more. Their runs stay."""
    with _users(place_of(where, above)) as users:
        users.remove(name)


@user.command("key")
@click.argument("name")
@place_options
@click.pass_obj
def key(above: Place | None, /, name: str, **where: Any) -> None:
    """Print a new key for NAME. The one before ends now, with every browser that was signed in by it."""
    fresh = new_key()
    with _users(place_of(where, above)) as users:
        users.change_key(name, fresh)
    click.echo(fresh)


def _described(name: str, role: str, teams: tuple[str, ...]) -> User:
    return User(name, Role(role), frozenset(teams) - {name})


@contextmanager
def _users(place: Place) -> Iterator[Users]:
    """The users of a place; what goes wrong in the words of the command line."""
    try:
        with Depot.users_of(place) as users:
            yield users
    except Refused as refused:
        if refused.status >= 500:
            raise ConfigurationError(f"The depot's users in {place} cannot be reached: {refused.message}.") from refused
        raise UsageError(f"{refused.message}.", next="See who is in: backhaul depot user list") from refused
    except (RuntimeError, OSError) as error:
        raise ConfigurationError(f"The depot's users in {place} cannot be reached: {error}.") from error
