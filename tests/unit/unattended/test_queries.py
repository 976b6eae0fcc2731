"""The statements are in one file, each under a name."""

from __future__ import annotations

import re
from pathlib import Path

import backhaul.unattended.queue as package
from backhaul.unattended.queue.queries import TABLES, queries, queries_for_psycopg


def test_every_query_is_used_and_every_used_one_is_there() -> None:
    """Nothing is left over, and no name is misspelt."""
    folder = Path(package.__file__).parent
    sources = "".join(path.read_text() for path in folder.glob("*.py"))
    used = set(re.findall(r'(?:\bexecute\(|queries\(\)\[|_connected\(\), |_connection, )"([a-z_]+)"', sources)) | set(
        TABLES
    )
    assert used == set(queries())


def test_no_statement_is_put_together_elsewhere() -> None:
    """No other file holds SQL but the pragmas of SQLite and its transactions."""
    folder = Path(package.__file__).parent
    for path in folder.glob("*.py"):
        assert not re.search(r'"(SELECT|INSERT|UPDATE|DELETE|CREATE)\b', path.read_text()), path


def test_parameters_are_named_as_each_database_has_them() -> None:
    """The same statement otherwise."""
    assert "WHERE host = :host AND log = :log" in queries()["run"]
    assert "WHERE host = %(host)s AND log = %(log)s" in queries_for_psycopg()["run"]
