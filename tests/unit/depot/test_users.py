"""People beside the operator: a key of their own, and an entity of their own."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backhaul.depot import Depot, Place, Role, User

from .conftest import Client

if TYPE_CHECKING:
    from tests.conftest import DepotProcess, StartDepot

_KEY = "a1b2c3d4" * 5
_VIEWER = "{ viewer { username entity admin teams { edges { node { name } } } apiKeys { edges { node { id } } } } }"


def _with_ada(data: Path) -> None:
    depot = Depot(Place(data), entity="tester")
    depot.users.put(User("ada", Role.MEMBER, frozenset({"tester"})), _KEY)
    depot.close()


@pytest.fixture
def shared(tmp_path: Path, start_depot: StartDepot) -> DepotProcess:
    """A depot that knows `ada` beside its operator."""
    _with_ada(tmp_path / "data")
    return start_depot(tmp_path / "data")


def test_a_user_sees_their_own_name_and_runs_go_to_it(shared: DepotProcess) -> None:
    """The viewer is whose key was shown; a run without an entity is theirs; the key itself is never told."""
    ada = Client(shared.url, _KEY)
    viewer: Any = ada.query(_VIEWER).json["data"]["viewer"]
    assert (viewer["username"], viewer["entity"], viewer["admin"]) == ("ada", "ada", False)
    assert [edge["node"]["id"] for edge in viewer["apiKeys"]["edges"]] == [_KEY[:8]]
    bucket = ada.open_run("p", "r1", entityName=None)
    assert bucket["project"]["entity"]["name"] == "ada"


def test_a_run_remembers_who_opened_it(shared: DepotProcess) -> None:
    """Whoever asks later is told the same."""
    Client(shared.url, _KEY).open_run("p", "r1")
    operator = Client(shared.url, shared.api_key)
    assert operator.run_field("p", "r1", "user { username }") == {"user": {"username": "ada"}}


def test_a_user_who_was_removed_gets_in_no_more(tmp_path: Path, start_depot: StartDepot) -> None:
    """401, as for anybody; the operator's key still works."""
    _with_ada(tmp_path)
    depot = Depot(Place(tmp_path), entity="tester")
    depot.users.remove("ada")
    depot.close()
    started = start_depot(tmp_path)
    assert Client(started.url, _KEY).query(_VIEWER).status == 401
    assert Client(started.url, started.api_key).query(_VIEWER).status == 200


def test_no_key_of_a_user_lies_in_the_data_folder(tmp_path: Path) -> None:
    """Only its hash does."""
    _with_ada(tmp_path)
    held = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert held
    assert all(_KEY.encode() not in data for data in held)


def test_a_data_folder_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    """Its runs are there, and what came later works."""
    first = Path(__file__).parents[3] / "src" / "backhaul" / "depot" / "store" / "schemas" / "sqlite" / "1.sql"
    with sqlite3.connect(tmp_path / "depot.sqlite") as old:
        old.executescript(first.read_text() + "PRAGMA user_version = 1;")
        old.execute("INSERT INTO projects VALUES (1, 'tester', 'p', 1.0)")
        old.execute(
            "INSERT INTO runs (project_id, name, display_name, state, created_at, updated_at, heartbeat_at)"
            " VALUES (1, 'r1', 'old', 'finished', 1, 1, 1)"
        )
    old.close()
    _with_ada(tmp_path)
    with sqlite3.connect(tmp_path / "depot.sqlite") as now:
        assert now.execute("SELECT display_name, user FROM runs").fetchall() == [("old", None)]
        assert now.execute("SELECT name FROM users").fetchall() == [("ada",)]
    now.close()
