"""Servers that benchmarks measure, and how they are spoken to."""

from __future__ import annotations

import base64
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import psutil

ENTITY = "bench"


class Server:
    """A server that speaks W&B; `process` when it is ours to measure."""

    def __init__(self, url: str, key: str, process: psutil.Process | None = None) -> None:
        self.url = url
        self.key = key
        self.process = process
        self.headers = {"Authorization": "Basic " + base64.b64encode(f"api:{key}".encode()).decode()}

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=600)

    def query(self, text: str, **variables: Any) -> Any:
        answer = self.ask("POST", "/graphql", json.dumps({"query": text, "variables": variables}).encode())
        return json.loads(answer)["data"]

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
        connection = self.connect()
        try:
            return send(connection, method, path, body, self.headers | {"Content-Type": "application/json"} | headers)
        finally:
            connection.close()

    def open_run(self, project: str, run: str) -> None:
        self.query(
            "mutation U($i: UpsertBucketInput!) { upsertBucket(input: $i) { bucket { id } } }",
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
        if self.process is None:
            return float("nan")
        times = [each.cpu_times() for each in (self.process, *self.process.children(recursive=True))]
        return sum(time.user + time.system for time in times)


def send(connection: http.client.HTTPConnection, method: str, path: str, body: Any, headers: dict[str, str]) -> bytes:
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    data = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{method} {path}: {answer.status} {data[:300]!r}")
    return data


@contextmanager
def own_depot(data: Path) -> Iterator[Server]:
    """A depot as users start it, in a process of its own."""
    program = Path(sys.executable).with_name("backhaul")
    command = [program, "depot", "--port", "0", "--data", data, "--entity", ENTITY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        try:
            yield Server(url, (data / "api-key").read_text().strip(), psutil.Process(process.pid))
        finally:
            process.terminate()


def at_once(count: int, work: Callable[[int], None]) -> float:
    """Runs `work` in that many threads; the seconds until the last is done."""
    with ThreadPoolExecutor(count) as threads:
        start = time.perf_counter()
        list(threads.map(work, range(count)))
        return time.perf_counter() - start
