"""A recorded run once more, as another run."""

from __future__ import annotations

import shutil
from pathlib import Path

from backhaul.wandblog import LogReader, LogWriter
from backhaul.wandblog.schema import Record

from .command import log_of


def renamed(source: Path, folder: Path, run_id: str) -> Path:
    """A copy of a run directory that is another run."""
    copy = Path(shutil.copytree(source, folder / f"offline-run-20261122_195633-{run_id}"))
    log_of(copy).unlink()
    with (copy / f"run-{run_id}.wandb").open("wb") as file:
        writer = LogWriter(file)
        for raw in LogReader(log_of(source)):
            record = Record.FromString(raw.data)
            if record.WhichOneof("record_type") == "run":
                record.run.run_id = run_id
            writer.write(record.SerializeToString())
    return copy
