"""`backhaul depot user`: people come and go while a depot runs in another process, and when none does."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from backhaul.cli import depot as depot_command
from backhaul.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import DepotProcess, StartDepot


def _user(data: Path, *words: str) -> Result:
    return CliRunner().invoke(depot_command.command, ["user", *words, "--data", str(data)])


def _entities(depot: DepotProcess, key: str) -> list[str] | int:
    """The entities that the key opens, as the depot tells them; the status when it lets nobody in."""
    query = json.dumps({"query": "{ viewer { teams { edges { node { name } } } } }"}).encode()
    request = urllib.request.Request(f"{depot.url}/graphql", query)
    request.add_header("Authorization", "Basic " + b64encode(f"api:{key}".encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            edges = json.load(response)["data"]["viewer"]["teams"]["edges"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    return [edge["node"]["name"] for edge in edges]


def test_people_come_and_go_while_the_depot_runs(tmp_path: Path, start_depot: StartDepot) -> None:
    """A key is printed once; a new one ends the old one, at once; who was removed gets in no more."""
    depot = start_depot(tmp_path / "data")
    added = _user(depot.data, "add", "ada", "--role", "member", "--entity", "lab", "--entity", "vision")
    first = added.stdout.strip()
    assert (added.exit_code, len(first)) == (0, 40)
    assert _entities(depot, first) == ["ada", "lab", "vision"]
    second = _user(depot.data, "key", "ada").stdout.strip()
    assert [_entities(depot, first), _entities(depot, second)] == [401, ["ada", "lab", "vision"]]
    assert _user(depot.data, "change", "ada", "--role", "viewer").exit_code == 0
    assert _entities(depot, second) == ["ada"]
    assert _user(depot.data, "list").stdout == "ada\tviewer\tada\n"
    assert _user(depot.data, "remove", "ada").exit_code == 0
    assert (_entities(depot, second), _user(depot.data, "list").stdout) == (401, "")


def test_people_can_be_let_in_before_the_first_start(tmp_path: Path, start_depot: StartDepot) -> None:
    """The folder is made, and the depot that starts over it knows them."""
    key = _user(tmp_path / "data", "add", "bob").stdout.strip()
    assert _entities(start_depot(tmp_path / "data"), key) == ["bob"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("add", "ada"), "is in already"),
        (("add", "a/b"), "invalid entity name"),
        (("add", "bob", "--entity", ".."), "invalid entity name"),
        (("change", "bob"), "not found"),
        (("key", "bob"), "not found"),
        (("remove", "bob"), "not found"),
    ],
)
def test_what_makes_no_sense_changes_nothing(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    """A sentence, no key, and everybody is as before."""
    _user(tmp_path, "add", "ada")
    done = _user(tmp_path, *words)
    assert isinstance(done.exception, UsageError)
    assert message in done.exception.message
    assert done.stdout == ""
    assert _user(tmp_path, "list").stdout == "ada\tmember\tada\n"
