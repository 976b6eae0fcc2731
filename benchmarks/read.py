#!/usr/bin/env python3
"""How fast a log is read, and in how much memory: framing with checksums, decoding, rows to JSON lines.

    benchmarks/read.py                          makes a log of 256 MB in a temporary folder and reads it
    benchmarks/read.py --log run-abc.wandb      reads that one
    benchmarks/read.py --size 2048              a log of 2 GB

Each figure comes from a process of its own: MB of log per second of processor time (wall time beside it), and the most
memory that the process had. The log has the shape that the Go engine writes: for each row a small summary record, one
with all values, and the history record; ten metrics a row, some 300 bytes a record.

What limits it: per record of 300 bytes the Python loop over the chunk headers (0.6 µs; CRC-32 is a sixth of that) and
the one that tells a record by its first bytes (0.6 µs). Per row of 13 values: finding and overwriting the bytes around
keys and values, for many rows at once with numpy (2 to 3 µs), the check of each line with orjson (2 µs), and handing it
on (2 µs).

Tried and not taken: zlib's CRC-32 (four times as slow as isal's on records of this size); a regular expression match a
value (two to three times as slow as columns), substituting over many rows at once (slower still); windows of 2 MiB
(a quarter slower than 512 KiB: they leave the cache); first all headers of a window, then all slices and checksums with
`map` (slower by a third); an object per record (0.9 µs each, hence columns); other thresholds of the garbage collector
(no difference). The summary's items (`rows`) are still matched one by one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from results import note

from backhaul.runs.directory import RunDirectory
from backhaul.runs.export import Format, What, export_rows
from backhaul.runs.identity import RunIdentity
from backhaul.runs.inspect import inspect
from backhaul.runs.local_run import LocalRun
from backhaul.runs.rows import Rows
from backhaul.wandblog import LogReader, LogWriter
from backhaul.wandblog.framing import Framing
from backhaul.wandblog.schema import HistoryRecord, Record, SummaryRecord

_METRICS = 10
_LINES_AT_ONCE = 6 << 20


def _row(step: int, chance: random.Random) -> list[tuple[str, str]]:
    pairs = [(f"metric/{index}", repr(chance.gauss(step, 3))) for index in range(_METRICS)]
    pairs += [("_step", str(step)), ("_runtime", repr(step / 100)), ("_timestamp", repr(1.79e9 + step / 100))]
    chance.shuffle(pairs)
    return pairs


def _records(step: int, chance: random.Random) -> list[Record]:
    history, summary, clock = HistoryRecord(), SummaryRecord(), SummaryRecord()
    for key, value in _row(step, chance):
        for item in (history.item.add(), summary.update.add()):
            item.nested_key.append(key)
            item.value_json = value.encode()
    history.step.num = step
    seconds = b"%d" % (step // 100)
    clock.update.add(nested_key=["_wandb", "runtime"], value_json=seconds)
    clock.update.add(key="_runtime", value_json=seconds)
    return [
        Record(summary=clock.SerializeToString()),
        Record(summary=summary.SerializeToString()),
        Record(history=history.SerializeToString()),
    ]


def make_log(path: Path, size: int) -> None:
    """Writes a log of about `size` bytes."""
    chance = random.Random(1)
    head = [Record(), Record()]
    head[0].header.version_info.producer = "0.31.0+benchmark"
    head[1].run.run_id, head[1].run.project = "bench", "bench"
    with path.open("wb") as file:
        writer = LogWriter(file)
        number = step = 0
        while writer.size < size:
            for record in head or _records(step, chance):
                number += 1
                record.num = number
                writer.write(record.SerializeToString())
            step += not head
            head = []
        end = Record(num=number + 1)
        end.exit.SetInParent()
        writer.write(end.SerializeToString())


def _framing(log: Path) -> int:
    with log.open("rb") as file:
        return sum(len(batch.offsets) for batch in Framing(file).batches())


def _reader(log: Path) -> int:
    return sum(len(batch.kinds) for batch in LogReader(log).batches())


def _rows(log: Path) -> int:
    rows, lines = Rows(RunIdentity("bench")), 0
    for batch in LogReader(log).batches():
        rows.take(batch)
        if rows.size > _LINES_AT_ONCE:
            lines += sum(len(pending.take()[1]) for pending in rows.pending.values())
    rows.finish()
    assert rows.summary_json()
    return lines + sum(len(pending.take()[1]) for pending in rows.pending.values())


def _history(log: Path) -> int:
    with Path(os.devnull).open("wb") as nowhere:
        return export_rows(LocalRun(RunDirectory(log.parent, log)), What.HISTORY, Format.JSONL, nowhere)


def _inspect(log: Path) -> int:
    return inspect(RunDirectory(log.parent, log)).size


_TASKS: dict[str, Callable[[Path], int]] = {
    "nothing": lambda log: log.stat().st_size,
    "inspect": _inspect,
    "framing": _framing,
    "records": _reader,
    "history": _history,
    "rows": _rows,
}


def _measure(task: str, log: Path) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    count = _TASKS[task](log)
    figures = {
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "count": count,
    }
    print(json.dumps(figures))


def _report(log: Path) -> None:
    megabytes = log.stat().st_size / 1e6
    print(f"{log.name}: {megabytes:.0f} MB")
    for task in _TASKS:
        done = subprocess.run(
            [sys.executable, __file__, "--task", task, "--log", log], check=True, stdout=subprocess.PIPE, text=True
        )
        figures = json.loads(done.stdout)
        note(task, log_mb=megabytes, **figures)
        speed = "" if task in ("nothing", "inspect") else f"{megabytes / figures['cpu']:8.0f} MB/s"
        print(
            f"{task:8} {figures['cpu'] * 1000:9.1f} ms cpu {figures['wall'] * 1000:9.1f} ms wall "
            f"{figures['memory']:6.0f} MiB {figures['count']:>11,} {speed}"
        )


def main() -> None:
    """Measures, as the options say."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--log", type=Path, help="the log to read; default: one is made")
    parser.add_argument("--size", type=int, default=256, help="megabytes of the log that is made (%(default)s)")
    parser.add_argument("--task", choices=_TASKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        _measure(options.task, options.log)
    elif options.log:
        _report(options.log)
    else:
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder, "run-bench.wandb")
            make_log(log, options.size * 1_000_000)
            _report(log)


if __name__ == "__main__":
    main()
