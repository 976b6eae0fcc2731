#!/usr/bin/env python3
"""How much Backhaul weighs, and how long it takes to begin: size of the wheel and of what it needs, start of commands.

Usage: .venv/bin/python benchmarks/footprint.py [--rounds 10] [--wheelhouse ARCHIVE]

Each command is a process of its own; told are the processor time and the wall time of the fastest round, and as a ratio
those of `python -c pass`, the least that any Python program takes. `--wheelhouse` (of `scripts/wheelhouse`) tells the
sizes of the wheels in an archive.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

_BARE = [sys.executable, "-c", "pass"]
_BACKHAUL = str(Path(sys.executable).with_name("backhaul"))
_COMMANDS = (
    ["--version"], ["--help"], ["init", "slurm"], ["run", "--", "true"], ["status", "empty"], ["queue", "list"],
    ["show", "--help"], ["sync", "--help"], ["depot", "--help"],
)  # fmt: skip
_HEAVIEST = 6


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="backhaul-benchmark-") as name:
        folder = Path(name)
        (folder / "empty").mkdir()
        bare = _fastest(_BARE, folder, arguments.rounds)
        print(f"  {'python -c pass':22} {bare[0] * 1000:5.0f} ms CPU {bare[1] * 1000:5.0f} ms wall")
        for command in _COMMANDS:
            cpu, wall = _fastest([_BACKHAUL, *command], folder, arguments.rounds)
            told = f"backhaul {' '.join(command)}"
            print(f"  {told:22} {cpu * 1000:5.0f} ms CPU {wall * 1000:5.0f} ms wall   {cpu / bare[0]:4.1f} x python")
    if arguments.wheelhouse:
        _tell_sizes(arguments.wheelhouse)
    print(f"  load of the machine: {os.getloadavg()[0]:.1f}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--wheelhouse", type=Path)
    return parser.parse_args()


def _fastest(command: list[str], folder: Path, rounds: int) -> tuple[float, float]:
    """Least CPU and least wall seconds of so many rounds; the first one, which compiles, does not count."""
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "WANDB_API_KEY": "0" * 40}
    taken = []
    for _ in range(rounds + 1):
        before, began = _cpu(), time.perf_counter()
        subprocess.run(command, cwd=folder, env=env, capture_output=True, check=False)
        taken.append((_cpu() - before, time.perf_counter() - began))
    return min(cpu for cpu, _ in taken[1:]), min(wall for _, wall in taken[1:])


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _tell_sizes(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        sizes = {Path(member.name).name: member.size for member in tar if member.name.endswith(".whl")}
    (ours,) = [name for name in sizes if name.startswith("backhaul-")]
    print(f"  our wheel: {sizes[ours] / 1024:.0f} KiB; {len(sizes)} wheels: {sum(sizes.values()) / 1048576:.1f} MiB")
    for name, size in sorted(sizes.items(), key=lambda one: -one[1])[:_HEAVIEST]:
        print(f"    {size / 1048576:5.1f} MiB  {name.split('-')[0]}")


if __name__ == "__main__":
    main()
