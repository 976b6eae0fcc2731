"""A depot for clients that are measured: a process of its own, as users start it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from base64 import b64encode
from pathlib import Path

import psutil


class Depot:
    """A depot process on a free port of loopback."""

    def __init__(self, data: Path) -> None:
        program = str(Path(sys.executable).with_name("backhaul"))
        self._process = subprocess.Popen(
            [program, "depot", "--port", "0", "--data", str(data)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        self.key = subprocess.run(
            [program, "depot", "key", "--data", str(data)], capture_output=True, text=True, check=True
        ).stdout.strip()

    def __enter__(self) -> Depot:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def cpu(self) -> float:
        """The processor time, in seconds, that the depot has taken so far."""
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def rows(self, project: str, run_id: str) -> int:
        """How many history lines the depot holds of a run."""
        query = "query($p: String, $n: String!) { model(name: $p) { bucket(name: $n) { historyLineCount } } }"
        body = json.dumps({"query": query, "variables": {"p": project, "n": run_id}}).encode()
        authorization = "Basic " + b64encode(f"api:{self.key}".encode()).decode()
        headers = {"Content-Type": "application/json", "Authorization": authorization}
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/graphql", body, headers)) as answer:
            return int(json.load(answer)["data"]["model"]["bucket"]["historyLineCount"])
