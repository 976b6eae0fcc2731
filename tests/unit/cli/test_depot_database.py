"""Where a depot is told to keep everything but files: the commands over a PostgreSQL database."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from backhaul.cli import depot as depot_command
from backhaul.errors import BackhaulError


def _output(*words: str) -> str:
    done = CliRunner().invoke(depot_command.command, words, catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def _failure(data: Path, *words: str) -> BackhaulError:
    error = CliRunner().invoke(depot_command.command, [*words, "--port", "0", "--data", str(data)]).exception
    assert isinstance(error, BackhaulError), error
    return error


def test_the_key_and_the_users_are_in_the_database(tmp_path: Path, postgres_url: str) -> None:
    """So that they are the same from every host, whatever the folder there holds."""
    here, there = str(tmp_path / "here"), str(tmp_path / "there")
    key = _output("key", "--db", postgres_url, "--data", here)
    assert key == _output("--db", postgres_url, "key", "--data", there)
    shown = _output("user", "add", "ada", "--entity", "vision", "--db", postgres_url, "--data", here)
    assert len(shown.strip()) == 40
    assert _output("user", "list", "--db", postgres_url, "--data", there) == "ada\tmember\tada,vision\n"
    assert list((tmp_path / "here").iterdir()) == []


def test_the_address_may_come_from_the_environment(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody reads it in the list of processes."""
    key = _output("key", "--db", postgres_url, "--data", str(tmp_path))
    monkeypatch.setenv("BACKHAUL_DEPOT_DB", postgres_url)
    assert _output("key", "--data", str(tmp_path)) == key


@pytest.mark.parametrize(
    ("address", "code", "told"),
    [
        ("mysql://db/runs", 4, "a database is given as postgresql://user@host/name"),
        ("postgresql://me:secret@127.0.0.1:9/runs", 5, "the database cannot be used"),
    ],
)
def test_a_database_that_cannot_be_used_is_told(tmp_path: Path, address: str, code: int, told: str) -> None:
    """With what it is, and without the password."""
    error = _failure(tmp_path, "--db", address)
    assert (error.exit_code, told in error.message, "secret" in str(error)) == (code, True, False), error.message


def test_a_folder_of_a_depot_that_shares_nothing_is_not_taken(tmp_path: Path, postgres_url: str) -> None:
    """Two depots with different databases would sweep each other's files away."""
    CliRunner().invoke(depot_command.command, ["key", "--data", str(tmp_path)])
    (tmp_path / "depot.sqlite").touch()
    error = _failure(tmp_path, "--db", postgres_url)
    assert (error.exit_code, "depot.sqlite" in error.message) == (4, True), error.message
