"""Servers that benchmarks measure, and how they are spoken to."""

from __future__ import annotations

import base64
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import psutil

from backhaul.depot import Place

ENTITY = "bench"


class Server:
    """A server that speaks W&B, at one address or several; `processes` when it is ours to measure."""

    def __init__(
        self, url: str, key: str, processes: Sequence[psutil.Process] = (), others: Sequence[str] = ()
    ) -> None:
        self.url = url
        self.urls = [url, *others]
        self.key = key
        self.processes = processes
        self.headers = {"Authorization": "Basic " + base64.b64encode(f"api:{key}".encode()).decode()}

    def connect(self, turn: int = 0) -> http.client.HTTPConnection:
        """To one of its addresses, by turns."""
        return http.client.HTTPConnection(urlsplit(self.urls[turn % len(self.urls)]).netloc, timeout=600)

    def query(self, text: str, turn: int = 0, **variables: Any) -> Any:
        answer = self.ask("POST", "/graphql", json.dumps({"query": text, "variables": variables}).encode(), turn)
        return json.loads(answer)["data"]

    def ask(self, method: str, path: str, body: bytes | None = None, turn: int = 0, **headers: str) -> bytes:
        connection = self.connect(turn)
        try:
            return send(connection, method, path, body, self.headers | {"Content-Type": "application/json"} | headers)
        finally:
            connection.close()

    def open_run(self, project: str, run: str, turn: int = 0) -> None:
        self.query(
            "mutation U($i: UpsertBucketInput!) { upsertBucket(input: $i) { bucket { id } } }",
            turn,
            i={"name": run, "modelName": project, "entityName": ENTITY},
        )

    def sign_in(self) -> str:
        """The cookie with which the pages are read."""
        connection = self.connect()
        try:
            connection.request("POST", "/login", urlencode({"key": self.key}).encode())
            return (connection.getresponse().getheader("Set-Cookie") or "").partition(";")[0]
        finally:
            connection.close()

    def cpu(self) -> float:
        """Seconds of processor time that the server has had."""
        return sum(map(_cpu, self.processes)) if self.processes else float("nan")


def send(connection: http.client.HTTPConnection, method: str, path: str, body: Any, headers: dict[str, str]) -> bytes:
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    data = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{method} {path}: {answer.status} {data[:300]!r}")
    return data


def _cpu(process: psutil.Process) -> float:
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(time.user + time.system for time in times)


class PostgresServer:
    """The database server behind a depot, where it runs on this machine."""

    def __init__(self, address: str) -> None:
        import psycopg

        self._connection = psycopg.connect(address, autocommit=True)
        (backend,) = self._connection.execute("SELECT pg_backend_pid()").fetchone() or (0,)
        self._process = psutil.Process(backend).parent()

    def cpu(self) -> float:
        """Seconds of processor time that it has had, all its connections together."""
        return _cpu(self._process) if self._process else float("nan")


@contextmanager
def own_depot(place: Place, count: int = 1, options: Sequence[str] = ()) -> Iterator[Server]:
    """A depot as users start it, in a process of its own; or several, where they share a database."""
    program = Path(sys.executable).with_name("backhaul")
    command = [program, "depot", "--port", "0", "--data", place.data, "--entity", ENTITY, *options]
    env = os.environ | ({"BACKHAUL_DEPOT_DB": place.database} if place.database else {})
    with ExitStack() as stack:
        urls, processes = [], []
        for _ in range(count):
            process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            stack.enter_context(process)
            stack.callback(process.terminate)
            assert process.stdout
            urls.append(process.stdout.readline().strip())
            processes.append(psutil.Process(process.pid))
        yield Server(urls[0], place.secrets().api_key, processes, urls[1:])


def at_once(count: int, work: Callable[[int], None]) -> float:
    """Runs `work` in that many threads; the seconds until the last is done."""
    with ThreadPoolExecutor(count) as threads:
        start = time.perf_counter()
        list(threads.map(work, range(count)))
        return time.perf_counter() - start
