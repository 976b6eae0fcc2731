"""A depot for the suite, and the small service through which the suite makes its users.

As a program (`python -m suite.backend FOLDER [DATABASE]`) it is the depot process itself: it prints both ports, and
ends with SIGTERM. The service is for tests alone: it asks nobody for a key.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from backhaul.depot import Depot, Place, Role, User


@dataclass(frozen=True)
class Backend:
    """Where the depot and the service listen."""

    port: int
    fixture_port: int

    def environment(self) -> dict[str, str]:
        """What the tool in the suite's tree reads."""
        return {"DEPOT_PORT": str(self.port), "DEPOT_FIXTURE_PORT": str(self.fixture_port)}


@contextmanager
def running_backend(data: Path, database: str | None = None) -> Iterator[Backend]:
    """A depot over a new folder (and a database), in a process of its own, for as long as the block lasts."""
    command = [sys.executable, "-m", "suite.backend", str(data), *([database] if database else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ports = process.stdout.readline().split()
        yield Backend(int(ports[0]), int(ports[1]))
    finally:
        process.terminate()
        process.wait(30)


def _service(depot: Depot) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        """`POST /db/user` and the like, in the words of the suite's fixtures."""

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
            done = _carry_out(depot, self.path.strip("/"), body)
            self.send_response(200 if done else 400)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing: pytest has the word."""

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


def _carry_out(depot: Depot, path: str, body: dict[str, Any]) -> bool:
    """Whether the command is one that the depot has. In the suite a user's name is also the key."""
    command, name = body["command"], body.get("username")
    if path == "db/user" and command in ("up", "password"):
        depot.users.put(User(name, Role.ADMIN if body.get("admin") else Role.MEMBER), name)
    elif path == "db/user" and command == "down":
        depot.users.remove(name)
    else:
        return False
    return True


def _main() -> None:
    data, database = (*sys.argv[1:], None)[:2]
    depot = Depot(Place(Path(str(data)), database=database), entity="operator")
    service = _service(depot)
    Thread(target=service.serve_forever, daemon=True).start()

    def say(url: str) -> None:
        print(urlsplit(url).port, service.server_address[1], flush=True)

    depot.run(port=0, on_ready=say)


if __name__ == "__main__":
    _main()
