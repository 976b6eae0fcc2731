"""A depot in a thread of the test's own process, for what a test must set inside of it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from backhaul.depot import Depot, Place, Reach, S3Place

from .depot_client import Client


@contextmanager
def served_depot(
    data: Path,
    reach: Reach | None = None,
    max_file_size: int | None = None,
    blobs: S3Place | None = None,
    database: str | None = None,
) -> Iterator[Client]:
    """A client of a depot that is configured as `Depot.run` does it; it ends with the block."""
    depot = Depot(Place(data, blobs, database), entity="tester", max_file_size=max_file_size)
    server = uvicorn.Server(depot._config(reach or Reach()))
    sock = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([sock],))
    thread.start()
    try:
        yield Client(f"http://127.0.0.1:{sock.getsockname()[1]}", depot.api_key)
    finally:
        server.should_exit = True
        thread.join()
        depot.close()
        sock.close()
