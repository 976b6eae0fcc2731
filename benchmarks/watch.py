#!/usr/bin/env python3
"""`backhaul watch` over many runs: how fast it brings them home, and what it needs when nothing happens.

Usage: .venv/bin/python benchmarks/watch.py [--runs 1000] [--rows 20] [--idle 60] [--looking]

One small run is recorded with the installed SDK; the others are its log under other run ids. A watcher is started over
them, with a depot on loopback as the server. Told: how long until all are verified, then over --idle seconds the share
of a core and the memory (RSS, highest seen), beside a plain loop that looks at the same logs as often (scandir and stat
in a bare Python). With --looking nobody tells of changes, as on a network file system: every 15 seconds it looks.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from depot_process import Depot
from recording import environment_at, small_runs
from results import note

_PLAIN_LOOP = """
import os, sys, time
def look(folder):
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            look(entry.path)
        elif entry.name.endswith(".wandb"):
            entry.stat()
while True:
    look(sys.argv[1])
    time.sleep(float(sys.argv[2]))
"""


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="backhaul-benchmark-") as name:
        folder = Path(name)
        small_runs(folder / "runs", arguments.runs, arguments.rows)
        with Depot(folder / "depot") as depot:
            environment = environment_at(folder / "home") | {"WANDB_BASE_URL": depot.url, "WANDB_API_KEY": depot.key}
            program = [str(Path(sys.executable).with_name("backhaul")), "watch", str(folder / "runs")]
            options = ["--project", "watched", *(["--no-inotify"] if arguments.looking else [])]
            process = subprocess.Popen([*program, *options], env=environment, stderr=subprocess.PIPE, text=True)
            try:
                _bring_home(process, arguments.runs)
                every = 15.0 if arguments.looking else 60.0
                _idle(process, folder / "runs", arguments.idle, every)
            finally:
                process.terminate()
                process.communicate(timeout=60)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--idle", type=float, default=60.0)
    parser.add_argument("--looking", action="store_true")
    return parser.parse_args()


def _bring_home(process: subprocess.Popen[str], runs: int) -> None:
    assert process.stderr is not None
    began, home = time.perf_counter(), 0
    while home < runs:
        line = process.stderr.readline()
        if not line:
            sys.exit("the watcher has ended")
        event = json.loads(line)
        home += event["event"] == "verified"
        if event["level"] == "warning":
            print(line, end="")
    wall = time.perf_counter() - began
    times = psutil.Process(process.pid).cpu_times()
    note("home", runs=runs, wall=wall, cpu=times.user + times.system)
    print(f"  {runs} runs home: {wall:.1f} s wall, {times.user + times.system:.1f} s CPU of the watcher")


def _idle(process: subprocess.Popen[str], runs: Path, seconds: float, every: float) -> None:
    """What the watcher and the plain loop need in the same time, from the second look on."""
    plain = subprocess.Popen([sys.executable, "-c", _PLAIN_LOOP, str(runs), str(every)])
    try:
        watched = {"backhaul watch": psutil.Process(process.pid), "a plain loop": psutil.Process(plain.pid)}
        time.sleep(5)
        before = {name: _cpu(each) for name, each in watched.items()}
        memory = dict.fromkeys(watched, 0)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(1)
            memory = {name: max(memory[name], each.memory_info().rss) for name, each in watched.items()}
        for name, each in watched.items():
            share = (_cpu(each) - before[name]) / seconds
            note(f"idle, {name}", seconds=seconds, share=share, memory_mb=memory[name] / 1e6, every=every)
            print(f"  idle for {seconds:.0f} s: {name:14} {share:7.2%} of a core, {memory[name] / 1e6:5.0f} MB")
        print(f"  load of the machine: {os.getloadavg()[0]:.1f}")
    finally:
        plain.kill()
        plain.wait()


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    main()
