"""Runs to measure with, recorded with the installed SDK, and the surroundings of whoever records and sends them."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from backhaul.wandblog import LogReader, LogWriter
from backhaul.wandblog.schema import Record

_LONG = """
import random, sys, wandb
rows, metrics = int(sys.argv[1]), int(sys.argv[2])
run = wandb.init(mode="offline", project="benchmark", settings=wandb.Settings(x_disable_stats=True, console="off"))
for step in range(rows):
    run.log({f"metric/{number}": random.random() * step for number in range(metrics)})
run.finish()
"""
_SMALL = """
import sys, wandb
settings = wandb.Settings(x_disable_stats=True, console="off")
with wandb.init(mode="offline", project="benchmark", id="small-0", settings=settings) as run:
    for step in range(int(sys.argv[1])):
        run.log({"loss": 1 / (step + 1), "epoch": step})
"""


def environment_at(home: Path) -> dict[str, str]:
    """The environment of a client that nobody has set anything for, whose home is this folder."""
    home.mkdir(parents=True, exist_ok=True)
    # With the bytecode of all modules, as pip installs them; else those of a checkout are compiled at every start.
    dropped = ("WANDB", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {"HOME": str(home), "WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"}


def long_run(folder: Path, arguments: argparse.Namespace) -> Path:
    """A run of `arguments.rows` rows, recorded in `folder`; or the one that lies in `arguments.keep_log`."""
    home = arguments.keep_log or folder
    home.mkdir(parents=True, exist_ok=True)
    if not list(home.glob("wandb/offline-run-*")):
        print("recording …", flush=True)
        command = [sys.executable, "-c", _LONG, str(arguments.rows), str(arguments.metrics)]
        subprocess.run(command, cwd=home, env=environment_at(folder), check=True, stdout=subprocess.DEVNULL)
    return next(home.glob("wandb/offline-run-*"))


def small_runs(home: Path, runs: int, rows: int) -> None:
    """Runs of so many rows below `home`: one is recorded, the others are its log under other ids."""
    home.mkdir(parents=True)
    subprocess.run([sys.executable, "-c", _SMALL, str(rows)], cwd=home, env=environment_at(home / "home"), check=True)
    template = next(home.glob("wandb/offline-run-*"))
    records = [record.data for record in LogReader(next(template.glob("*.wandb")))]
    for number in range(1, runs):
        run_id = f"small-{number}"
        copy = Path(shutil.copytree(template, template.with_name(template.name.replace("small-0", run_id))))
        next(copy.glob("*.wandb")).unlink()
        with (copy / f"run-{run_id}.wandb").open("wb") as file:
            writer = LogWriter(file)
            for data in records:
                writer.write(_renamed(data, run_id))


def _renamed(data: bytes, run_id: str) -> bytes:
    record = Record.FromString(data)
    if record.WhichOneof("record_type") != "run":
        return data
    record.run.run_id = run_id
    return bytes(record.SerializeToString())
