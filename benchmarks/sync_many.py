#!/usr/bin/env python3
"""Many small runs over a slow line: `backhaul sync` against the official `wandb sync` into the same depot.

Usage: .venv/bin/python benchmarks/sync_many.py [--runs 1000] [--rows 20] [--round-trip 0.05] [--descriptors 0]
                                                [--only backhaul]

One small run is recorded with the installed SDK; the others are its log under other run ids. All of them are sent in
one call, through a proxy that makes every round trip last so many seconds. Told per client: wall time, CPU time,
requests per run, and how many runs the depot holds whole. With --descriptors both clients work under that limit of open
files.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from depot_process import Depot
from recording import environment_at, small_runs
from results import note
from slow_line import slow_line


@dataclass(frozen=True)
class Figures:
    """What one client needed."""

    wall: float
    cpu: float
    memory_mib: float
    requests: float
    whole: int
    depot_cpu: float
    line_cpu: float


def main() -> None:
    arguments = _arguments()
    clients = {
        "wandb sync": ["wandb", "sync", "--project"],
        "backhaul sync": ["backhaul", "sync", "--project"],
    }
    chosen = [client for client in clients if arguments.only in client]
    with tempfile.TemporaryDirectory(prefix="backhaul-benchmark-") as name:
        folder = Path(name)
        small_runs(folder / "runs", arguments.runs, arguments.rows)
        with Depot(folder / "depot") as depot:
            figures = {client: _measure(clients[client], folder, depot, arguments) for client in chosen}
    for client, found in figures.items():
        note(client, runs=arguments.runs, **asdict(found))
        print(
            f"  {client:14} {found.wall:7.1f} s wall {found.cpu:6.1f} s CPU {found.memory_mib:5.0f} MiB "
            f"{found.requests:5.1f} requests per run, {found.whole} of {arguments.runs} runs whole; "
            f"CPU of the depot {found.depot_cpu:.1f} s, of the line {found.line_cpu:.1f} s"
        )
    if len(figures) == 2:
        ours, theirs = figures["backhaul sync"], figures["wandb sync"]
        print(f"  backhaul / official: wall {ours.wall / theirs.wall:.2f}, CPU {ours.cpu / theirs.cpu:.2f}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--round-trip", type=float, default=0.05)
    parser.add_argument("--descriptors", type=int, default=0)
    parser.add_argument("--only", default="sync", help="backhaul or wandb")
    return parser.parse_args()


def _measure(command: list[str], folder: Path, depot: Depot, arguments: argparse.Namespace) -> Figures:
    project = command[0]
    copies = folder / project / "wandb"
    shutil.copytree(folder / "runs" / "wandb", copies)
    program = str(Path(sys.executable).with_name(command[0]))
    paths = sorted(map(str, copies.glob("offline-run-*")))
    with slow_line(depot.url, arguments.round_trip) as line, (folder / f"{project}.out").open("wb") as output:
        environment = environment_at(folder / f"home-{project}") | {
            "WANDB_BASE_URL": line.url,
            "WANDB_API_KEY": depot.key,
        }
        depot_before = depot.cpu()
        began = time.perf_counter()
        process = subprocess.Popen(
            [program, *command[1:], project, *paths],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=(lambda: _limit(arguments.descriptors)) if arguments.descriptors else None,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        depot_cpu = depot.cpu() - depot_before
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        print(f"{command[0]} ended with {process.returncode}: {Path(output.name).read_text()[-1000:]}")
    whole = sum(depot.rows(project, f"small-{number}") == arguments.rows for number in range(arguments.runs))
    requests = line.requests / arguments.runs
    return Figures(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, requests, whole, depot_cpu, line.cpu)


def _limit(descriptors: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))


if __name__ == "__main__":
    main()
