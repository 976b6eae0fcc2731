#!/usr/bin/env python3
"""How much Backhaul weighs, and how long it takes to begin: size of the wheel and of what it needs, start of commands.

Usage: .venv/bin/python benchmarks/footprint.py [--rounds 10] [--wheelhouse [ARCHIVE]]

Each command is a process of its own; told are the processor time and the wall time of the fastest round, and as a ratio
those of `python -c pass`, the least that any Python program takes. `--wheelhouse` tells the sizes of the wheels in an
archive of `scripts/wheelhouse`, which is made for it when none is named.
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

sys.path.insert(0, str(Path(__file__).resolve().parent))

from results import note

_ROOT = Path(__file__).resolve().parents[1]
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
        note("python -c pass", cpu=bare[0], wall=bare[1])
        print(f"  {'python -c pass':22} {bare[0] * 1000:5.0f} ms CPU {bare[1] * 1000:5.0f} ms wall")
        for command in _COMMANDS:
            cpu, wall = _fastest([_BACKHAUL, *command], folder, arguments.rounds)
            told = f"backhaul {' '.join(command)}"
            note(told, cpu=cpu, wall=wall, times=cpu / bare[0])
            print(f"  {told:22} {cpu * 1000:5.0f} ms CPU {wall * 1000:5.0f} ms wall   {cpu / bare[0]:4.1f} x python")
        if arguments.wheelhouse is not None:
            _tell_sizes(_made(folder) if arguments.wheelhouse is True else arguments.wheelhouse)
    print(f"  load of the machine: {os.getloadavg()[0]:.1f}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--wheelhouse", type=Path, nargs="?", const=True)
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


def _made(folder: Path) -> Path:
    """An archive that is made now, for this Python."""
    subprocess.run([str(_ROOT / "scripts" / "wheelhouse"), str(folder / "made")], stdout=subprocess.DEVNULL, check=True)
    (archive,) = (folder / "made").glob("backhaul-*.tar")
    return archive


def _tell_sizes(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        sizes = {Path(member.name).name: member.size for member in tar if member.name.endswith(".whl")}
    (ours,) = [name for name in sizes if name.startswith("backhaul-")]
    note("wheels", count=len(sizes), bytes=sum(sizes.values()), ours=sizes[ours])
    print(f"  our wheel: {sizes[ours] / 1024:.0f} KiB; {len(sizes)} wheels: {sum(sizes.values()) / 1048576:.1f} MiB")
    for name, size in sorted(sizes.items(), key=lambda one: -one[1])[:_HEAVIEST]:
        print(f"    {size / 1048576:5.1f} MiB  {name.split('-')[0]}")


if __name__ == "__main__":
    main()
