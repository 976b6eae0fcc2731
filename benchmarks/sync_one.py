#!/usr/bin/env python3
"""One long run: `backhaul sync` against the official `wandb sync`, side by side into the same depot.

Usage: .venv/bin/python benchmarks/sync_one.py [--rows 200000] [--metrics 10] [--rounds 3] [--keep-log DIR]

Records one offline run with the installed SDK, then sends it in turns with both clients, each time into a new project
of one depot on loopback. Told per client: wall time, CPU time (user and system, of the client's processes), peak memory
of the largest process, and the rows that the depot holds afterwards. Absolute times depend on the machine; the ratios
count.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from depot_process import Depot
from recording import environment_at, long_run
from results import note


@dataclass(frozen=True)
class Figures:
    """What one client needed once."""

    wall: float
    cpu: float
    memory_mib: float
    rows: int


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="backhaul-benchmark-") as name:
        folder = Path(name)
        recorded = long_run(folder, arguments)
        log = next(recorded.glob("*.wandb"))
        print(f"log: {log.stat().st_size / 1e6:.0f} MB, {arguments.rows} rows of {arguments.metrics} metrics")
        with Depot(folder / "depot") as depot:
            rounds = [_round(number, recorded, folder, depot) for number in range(arguments.rounds)]
    _report(rounds, arguments.rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--metrics", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep-log", type=Path, help="record into this folder, or use the run that lies there")
    return parser.parse_args()


def _round(number: int, recorded: Path, folder: Path, depot: Depot) -> dict[str, Figures]:
    """Both clients once; which one is first changes from round to round."""
    clients = {
        "wandb sync": ["wandb", "sync", "--project"],
        "backhaul sync": ["backhaul", "sync", "--to", depot.url, "--project"],
    }
    order = sorted(clients, reverse=number % 2 == 1)
    return {client: _measure(client, clients[client], number, recorded, folder, depot) for client in order}


def _measure(client: str, command: list[str], number: int, recorded: Path, folder: Path, depot: Depot) -> Figures:
    project = f"{client.split()[0]}-{number}"
    copy = folder / project / recorded.name
    # Only the log and its files: no marker or ledger of an earlier round.
    shutil.copytree(recorded, copy, ignore=shutil.ignore_patterns("*.synced", "*.syncstate", "*.backhaul*", "logs"))
    environment = environment_at(folder / f"home-{project}") | {
        "WANDB_BASE_URL": depot.url,
        "WANDB_API_KEY": depot.key,
    }
    program = str(Path(sys.executable).with_name(command[0]))
    with (folder / f"{project}.out").open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            [program, *command[1:], project, str(copy)], env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{client} ended with {process.returncode}:\n{Path(output.name).read_text()[-2000:]}")
    run_id = next(copy.glob("*.wandb")).stem.removeprefix("run-")
    shutil.rmtree(copy)
    figures = Figures(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, depot.rows(project, run_id))
    print(f"  {client:14} {wall:6.1f} s wall {figures.cpu:6.1f} s CPU {figures.memory_mib:5.0f} MiB", flush=True)
    return figures


def _report(rounds: list[dict[str, Figures]], rows: int) -> None:
    print(f"\nmedian of {len(rounds)} rounds")
    median = {
        (client, what): statistics.median(getattr(figures[client], what) for figures in rounds)
        for client in rounds[0]
        for what in ("wall", "cpu", "memory_mib", "rows")
    }
    for client in sorted(rounds[0]):
        wall, cpu, memory, held = (median[client, what] for what in ("wall", "cpu", "memory_mib", "rows"))
        print(f"  {client:14} {wall:6.1f} s wall {cpu:6.1f} s CPU {memory:5.0f} MiB {held:.0f} of {rows} rows")
    note("long run", rows=rows, **{f"{client}, {what}": figure for (client, what), figure in median.items()})
    for what, name in (("wall", "wall time"), ("cpu", "CPU time")):
        ratio = median["backhaul sync", what] / median["wandb sync", what]
        print(f"  {name}: backhaul / official = {ratio:.2f}")


if __name__ == "__main__":
    main()
