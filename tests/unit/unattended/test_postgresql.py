"""The queue in PostgreSQL: what only a server does."""

from __future__ import annotations

import psycopg
import pytest

from backhaul.errors import QueuePlace, QueueUnavailable
from backhaul.unattended.queue.opening import open_queue
from backhaul.unattended.queue.postgresql import PostgresDatabase
from backhaul.unattended.queue.sql_queue import SqlQueue

_LOST = """SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND usename IS NOT NULL"""


def test_all_hosts_go_by_the_servers_clock(postgres_url: str) -> None:
    """Not by that of each host."""
    database = PostgresDatabase(postgres_url)
    with psycopg.connect(postgres_url) as connection:
        (told,) = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone() or (0.0,)
    assert database.now() == pytest.approx(told, abs=60)
    database.close()


def test_a_connection_that_was_lost_is_told_once_and_made_anew(postgres_url: str) -> None:
    """A server that was started again, or a firewall that forgets."""
    with SqlQueue(PostgresDatabase(postgres_url)) as queue:
        assert queue.items() == []
        with psycopg.connect(postgres_url, autocommit=True) as other:
            other.execute(_LOST)
        with pytest.raises(QueueUnavailable):
            queue.items()
        assert queue.items() == []


def test_a_server_that_is_not_there_is_told_without_the_password() -> None:
    """The address may be shown to others."""
    with pytest.raises(QueueUnavailable) as told:
        open_queue("postgresql://me:geheim@127.0.0.1:1/runs")
    assert "127.0.0.1" in told.value.message
    assert "geheim" not in told.value.message


def test_tables_of_a_newer_version_are_left_alone(postgres_url: str) -> None:
    """Another host may have been upgraded already."""
    PostgresDatabase(postgres_url).close()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("UPDATE backhaul_facts SET value = '9' WHERE name = 'version'")
    with pytest.raises(QueuePlace, match="version 9"):
        open_queue(postgres_url)
