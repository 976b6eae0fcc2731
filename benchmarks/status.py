"""How long `backhaul status` takes over many run directories, from a process that has just started.

    python benchmarks/status.py [--runs 10000] [--repeat 3]

The runs are copies of a recorded one, each with an id of its own in its folder's and log's name; a third has the ledger
of a run that was read back, a third one that was begun, and a third none. Prints wall and CPU time of each call and the
best. CPU time is what to compare where the machine does other things as well.
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
from pathlib import Path

from results import note

from backhaul.runs.rows import NUMBERED
from backhaul.sync.ledger import Ledger
from backhaul.sync.progress import LogStamp, begin_entry, no_lines, verified_entry

_RECORDED = Path(__file__).parents[1] / "tests" / "recorded" / "0.31.0"


def main() -> None:
    """Make the runs, look at them, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="backhaul-status-") as folder:
        _make(Path(folder, "wandb"), asked.runs)
        times = [_look(Path(folder)) for _ in range(asked.repeat)]
    for wall, cpu in times:
        print(f"{asked.runs} runs: {wall:.2f} s wall, {cpu:.2f} s CPU")
    note("status", runs=asked.runs, wall=min(wall for wall, _ in times), cpu=min(cpu for _, cpu in times))
    print(f"best: {min(wall for wall, _ in times):.2f} s wall, {min(cpu for _, cpu in times):.2f} s CPU")


def _make(folder: Path, runs: int) -> None:
    (log,) = _RECORDED.glob("offline-run-*/*.wandb")
    folder.mkdir()
    for number in range(runs):
        run_id = f"r{number:07}"
        home = folder / f"offline-run-20260101_000000-{run_id}"
        (home / "files").mkdir(parents=True)
        own = home / f"run-{run_id}.wandb"
        shutil.copy(log, own)
        if number % 3:
            _begin(own, folder, verified=number % 3 == 1)


def _begin(log: Path, state_folder: Path, *, verified: bool) -> None:
    to, some = "https://api.wandb.ai /benchmark/run", dict.fromkeys(NUMBERED, 7)
    entries = [begin_entry(no_lines(), some, 0, True)]
    if verified:
        entries.append(verified_entry(LogStamp.of(log), "/receipt.json", "entity", "project"))
    with Ledger.open(log, state_folder) as ledger:
        ledger.record(to, *entries)


def _look(folder: Path) -> tuple[float, float]:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "backhaul", "status", str(folder)],
        env=os.environ | {"HOME": str(folder)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
