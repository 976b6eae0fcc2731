#!/usr/bin/env python3
"""What a sync needs as a run grows, and after it was cut: `backhaul sync` into a depot on loopback.

Usage: .venv/bin/python benchmarks/sync_bounds.py resume [--rows 200000] [--keep-log DIR | --rows-alone]
                                                  lines [--rows 250000 500000 1000000]
                                                  memory [--megabytes 100 2000]
                                                  artifact [--megabytes 1000]

`resume` kills a sync when nine tenths of its lines are acknowledged, and holds the one after it against a whole sync:
of a run that the installed SDK records (into DIR, or that lies there), or, a third as long, of rows without summaries.
`lines` sends runs of so many rows of one metric and as many console lines. `memory` sends runs whose logs are so long.
`artifact` holds a run with one artifact of that size against one MD5 pass over the same file plus its plain upload to
the same depot. All other logs are written with Backhaul's own writer, after a run of the installed SDK.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from depot_process import Depot
from recording import environment_at, long_run
from results import note

from backhaul.wandblog import LogReader, LogWriter
from backhaul.wandblog.schema import HistoryRecord, Record

_RECORD = """
import sys, wandb
settings = wandb.Settings(x_disable_stats=True, console="off")
with wandb.init(mode="offline", project="benchmark", id="template", settings=settings) as run:
    run.log({"loss": 1.5})
    if len(sys.argv) > 1:
        artifact = wandb.Artifact("large", "model")
        artifact.add_file(sys.argv[1], skip_cache=True, policy="immutable")
        run.log_artifact(artifact)
"""
_MD5_PASS = """
import hashlib, sys
md5 = hashlib.md5()
with open(sys.argv[1], "rb") as file:
    while block := file.read(1 << 20):
        md5.update(block)
"""


@dataclass(frozen=True)
class Figures:
    """What one sync needed."""

    wall: float
    cpu: float
    memory_mib: float

    def __str__(self) -> str:
        return f"{self.wall:7.1f} s wall {self.cpu:7.1f} s CPU {self.memory_mib:6.0f} MiB"


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="backhaul-benchmark-") as name:
        folder = Path(name)
        with Depot(folder / "depot") as depot:
            arguments.work(Bench(folder, depot), arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_subparsers(required=True)
    resume = what.add_parser("resume")
    resume.add_argument("--rows", type=int, default=200_000)
    resume.add_argument("--metrics", type=int, default=10)
    resume.add_argument("--keep-log", type=Path, help="record into this folder, or use the run that lies there")
    resume.add_argument("--rows-alone", action="store_true", help="a log of rows, as no SDK of today writes it")
    resume.set_defaults(work=_resume)
    lines = what.add_parser("lines")
    lines.add_argument("--rows", type=int, nargs="+", default=[250_000, 500_000, 1_000_000])
    lines.set_defaults(work=_lines)
    memory = what.add_parser("memory")
    memory.add_argument("--megabytes", type=int, nargs="+", default=[100, 2000])
    memory.set_defaults(work=_memory)
    artifact = what.add_parser("artifact")
    artifact.add_argument("--megabytes", type=int, default=1000)
    artifact.set_defaults(work=_artifact)
    return parser.parse_args()


@dataclass(frozen=True)
class Bench:
    """A folder of its own, and the depot that runs are sent to."""

    folder: Path
    depot: Depot

    def recorded(self, *arguments: str) -> Path:
        """A run of one row, recorded with the SDK."""
        home = self.folder / "recording"
        shutil.rmtree(home, ignore_errors=True)
        environment = environment_at(home / "home") | {"WANDB_DATA_DIR": str(home)}
        subprocess.run([sys.executable, "-c", _RECORD, *arguments], cwd=home, env=environment, check=True)
        return next(home.glob("wandb/offline-run-*"))

    def run_of(self, name: str, rows: int, *, metrics: int = 1, text: int = 0, console: bool = False) -> Path:
        """A run of so many rows of so many metrics, with a text of that length in each, and as many console lines."""
        run = self.folder / name / "offline-run-20260101_000000-" / name
        shutil.copytree(self.recorded(), run)
        template = next(run.glob("*.wandb"))
        records = [record.data for record in LogReader(template)]
        with (run / f"run-{name}.wandb").open("wb") as file:
            writer = LogWriter(file)
            number = 0
            for data in records:
                for made in _grown(data, name, rows, metrics, text, console=console):
                    number += 1
                    made.num = number
                    writer.write(made.SerializeToString())
        template.unlink()
        return run

    def start(self, run: Path, project: str) -> subprocess.Popen[bytes]:
        """A sync of the run on its way."""
        environment = environment_at(self.folder / "home") | {"WANDB_API_KEY": self.depot.key}
        program = str(Path(sys.executable).with_name("backhaul"))
        command = [program, "sync", str(run), "--to", self.depot.url, "--project", project, "--json"]
        with (self.folder / "out").open("wb") as out:
            return subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.DEVNULL)

    def synced(self, run: Path, project: str) -> Figures:
        """What a sync of the run needed; it must end verified."""
        began = time.perf_counter()
        process = self.start(run, project)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        (told,) = json.loads((self.folder / "out").read_text())["runs"]
        if told["state"] != "verified":
            sys.exit(f"{run.name} is {told['state']}: {told['error']}")
        return Figures(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _grown(data: bytes, name: str, rows: int, metrics: int, text: int, *, console: bool) -> Iterator[Any]:
    """A record of the template; in the place of its one row, all rows and console lines."""
    record = Record.FromString(data)
    kind = record.WhichOneof("record_type")
    if kind == "run":
        record.run.run_id = name
        yield record
    elif kind == "history":
        for step in range(rows):
            yield _row(step, metrics, text)
            if console:
                yield _console_line(step)
    else:
        yield record


def _row(step: int, metrics: int, text: int) -> Any:
    history = HistoryRecord()
    history.item.add(nested_key=["_step"], value_json=str(step).encode())
    history.item.add(nested_key=["_timestamp"], value_json=str(1.7e9 + step).encode())
    for number in range(metrics):
        history.item.add(nested_key=[f"metric/{number}"], value_json=str((step + 1) / (number + 7)).encode())
    if text:
        history.item.add(nested_key=["text"], value_json=f'"{step:0{text}}"'.encode())
    return Record(history=history.SerializeToString())


def _console_line(step: int) -> Any:
    record = Record()
    record.output_raw.timestamp.seconds = 1_700_000_000 + step
    record.output_raw.line = f"step {step} of many\n"
    return record


def _resume(bench: Bench, arguments: argparse.Namespace) -> None:
    if arguments.rows_alone:
        run = bench.run_of("resumed", arguments.rows, metrics=arguments.metrics)
    else:
        recorded = long_run(bench.folder / "long", arguments)
        run = bench.folder / "resumed" / recorded.name
        shutil.copytree(recorded, run, ignore=shutil.ignore_patterns("logs", "*.synced", "*.backhaul*"))
    whole = bench.synced(run, "whole")
    _forget(run)
    first = bench.start(run, "cut")
    while _acknowledged(run) < 0.9 * arguments.rows and first.poll() is None:
        time.sleep(0.005)
    # A kill comes at any moment, and not with the entry in the ledger, whose flush to the disk takes a while.
    time.sleep(0.05)
    first.kill()
    first.wait()
    reached = _acknowledged(run)
    rest = bench.synced(run, "cut")
    note("resume", reached=reached, whole=asdict(whole), rest=asdict(rest))
    print(f"  whole sync                     {whole}")
    print(f"  after a kill at {reached:7} rows   {rest}")
    print(f"  rest / whole: wall {rest.wall / whole.wall:.2f}, CPU {rest.cpu / whole.cpu:.2f}")


def _forget(run: Path) -> None:
    for left in (*run.glob("*.backhaul*"), *run.glob("*.synced")):
        left.unlink()


def _acknowledged(run: Path) -> int:
    """The history lines that the ledger says are acknowledged."""
    lines = 0
    for ledger in run.glob("*.backhaul"):
        for entry in ledger.read_text().splitlines():
            if '"what":"lines"' in entry:
                lines = json.loads(entry.partition(" ")[2])["lines"]["history"]
    return lines


def _lines(bench: Bench, arguments: argparse.Namespace) -> None:
    for rows in arguments.rows:
        run = bench.run_of(f"lines-{rows}", rows, console=True)
        figures = bench.synced(run, "lines")
        note(f"{rows} rows", rows=rows, **asdict(figures))
        print(
            f"  {rows:8} rows and console lines {figures}, {1e6 * figures.cpu / rows:.1f} µs of CPU a row", flush=True
        )


def _memory(bench: Bench, arguments: argparse.Namespace) -> None:
    for size in arguments.megabytes:
        run = bench.run_of(f"memory-{size}", size * 1000, text=950)
        log = next(run.glob("*.wandb"))
        figures = bench.synced(run, "memory")
        note(f"{size} MB", log_mb=log.stat().st_size / 1e6, **asdict(figures))
        print(f"  log of {log.stat().st_size / 1e6:5.0f} MB {figures}", flush=True)
        shutil.rmtree(run.parent)


def _artifact(bench: Bench, arguments: argparse.Namespace) -> None:
    content = bench.folder / "content"
    with content.open("wb") as file:
        for _ in range(arguments.megabytes):
            file.write(os.urandom(1_000_000))
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", _MD5_PASS, str(content)], check=True)
    hashed = time.perf_counter() - began
    plain = _plain_upload(bench, content)
    # Another content: the depot keeps equal ones once.
    with content.open("r+b") as file:
        file.write(b"another")
    figures = bench.synced(bench.recorded(str(content)), "artifact")
    note("artifact", megabytes=arguments.megabytes, md5_pass=hashed, plain_upload=plain, **asdict(figures))
    print(f"  one MD5 pass {hashed:.1f} s, plain upload {plain:.1f} s")
    print(f"  backhaul sync {figures}")
    print(f"  speed, of that of MD5 pass and plain upload: {(hashed + plain) / figures.wall:.2f}")


def _plain_upload(bench: Bench, content: Path) -> float:
    """Seconds for a PUT of the file to the depot, as `curl -T` would do it."""
    made = _asked(
        bench.depot,
        'mutation { upsertBucket(input: {name: "plain", modelName: "plain"}) '
        "{ bucket { project { entity { name } } } } }",
    )
    entity = made["upsertBucket"]["bucket"]["project"]["entity"]["name"]
    files = _asked(
        bench.depot,
        f'mutation {{ createRunFiles(input: {{entityName: "{entity}", projectName: "plain", runName: "plain", '
        'files: ["content"]}) { files { uploadUrl } } }',
    )
    url = urlsplit(files["createRunFiles"]["files"][0]["uploadUrl"])
    began = time.perf_counter()
    connection = http.client.HTTPConnection(str(url.hostname), url.port)
    with content.open("rb") as file:
        headers = {"Content-Length": str(content.stat().st_size)}
        connection.request("PUT", f"{url.path}?{url.query}", file, headers)
        answer = connection.getresponse()
        answer.read()
    if answer.status != 200:
        sys.exit(f"the plain upload was answered {answer.status}")
    return time.perf_counter() - began


def _asked(depot: Depot, document: str) -> dict[str, dict[str, object]]:
    headers = {
        "Content-Type": "application/json",
        "Authorization": "Basic " + b64encode(f"api:{depot.key}".encode()).decode(),
    }
    request = urllib.request.Request(f"{depot.url}/graphql", json.dumps({"query": document}).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["data"]


if __name__ == "__main__":
    main()
