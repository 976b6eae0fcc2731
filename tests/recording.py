"""Runs recorded for a test by the real, installed SDK, each in a process of its own, with what was logged.

All that is logged is known before: the recording process is told by a plan, and the answer is made from that same plan,
never from the log. Everything lies below the folder that the caller names; the SDK sees none of the user's settings.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

_PATIENCE = 120.0  # seconds that any recording may take, beyond its rows
_ROWS_PER_SECOND = 100  # the slowest that the SDK may be
_TWO_BLOCKS = 64 * 1024  # two blocks of the log on disk: rows, and a record cut in two

# Runs in the other process. Its argument is the plan.
_RECORD = """
import itertools, json, sys, time
from pathlib import Path
import wandb

plan = json.loads(sys.argv[1])
run = wandb.init(**plan["init"], settings=wandb.Settings(**plan["settings"]))
for name, text in plan["files"].items():
    Path(name).write_text(text, encoding="utf-8")
    run.save(name, policy="now")
for stream, text in plan["console"]:
    print(text, file=getattr(sys, stream), flush=True)
for row in plan["rows"]:
    run.log(row)
for key, page in plan["pages"].items():
    run.log({key: wandb.Html(page, inject=False)})
run.config.update(plan["late_config"])
run.summary.update(plan["summary"])
if plan["generated"]:
    rows, metrics = plan["generated"]
    told = open("told", "w", buffering=1)
    for step in range(rows) if rows else itertools.count():
        # Told before it is logged: no row can be in the log that was not told.
        print(step, file=told)
        run.log({f"m{column}": step + column / 8 for column in range(metrics)})
if plan["await_system_metrics"]:
    deadline = time.monotonic() + 60
    while not run._system_metrics:
        if time.monotonic() > deadline:
            sys.exit("no system metrics were sampled")
        time.sleep(0.05)
run.finish(exit_code=plan["exit_code"])
"""


@dataclass(frozen=True)
class RecordedRun:
    """A run directory, and what was logged into it.

    `rows` are the metrics of step 0, 1, …, without what the SDK adds (`_step`, `_runtime`, `_timestamp`). Of a killed
    run the log holds a prefix of them. `files` maps names below `files/` to contents; `summary` was set by hand.
    """

    path: Path
    run_id: str
    init: dict[str, Any]
    config: dict[str, Any]
    rows: list[dict[str, Any]]
    files: dict[str, bytes] = field(default_factory=dict)
    stdout: list[str] = field(default_factory=list)
    stderr: list[str] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = 0

    @property
    def log(self) -> Path:
        """The run's transaction log."""
        return self.path / f"run-{self.run_id}.wandb"


def record_healthy(folder: Path, run_id: str = "healthy", exit_code: int = 0) -> RecordedRun:
    """Records a run with all that a small one has: saved file, console, nested config, tags, HTML, system metrics.

    Raises RuntimeError, with what the process printed, when it fails.
    """
    config = {"lr": 0.001, "optimizer": {"name": "adam", "betas": [0.9, 0.999]}, "dotted.key": "grüße"}
    rows = [{"loss": 1 / (step + 1), "nested": {"a": step, "b": {"c": f"step {step}"}}} for step in range(20)]
    console = [("stdout", "epoch 1"), ("stdout", "grüße ☃"), ("stderr", "a warning"), ("stdout", "done")]
    plan = _plan(
        run_id,
        {"name": "healthy run", "notes": "two\nlines", "tags": ["first", "täg"], "group": "g", "job_type": "train"},
        config,
        settings={"x_stats_sampling_interval": 0.1, "x_stats_buffer_size": 10},
        files={"notes.txt": "saved ☃\n" * 100},
        console=console,
        rows=rows,
        pages={"report": "<!doctype html><p>all <b>well</b></p>"},
        late_config={"late": {"added": True}},
        summary={"best": 0.05, "verdict": "gut ☃"},
        await_system_metrics=True,
        exit_code=exit_code,
    )
    page, metrics = _html_file("report", len(rows), plan["pages"]["report"])
    return RecordedRun(
        path=_record(folder, plan, _PATIENCE),
        run_id=run_id,
        init=plan["init"],
        config={**config, **plan["late_config"]},
        rows=[*rows, metrics],
        files={name: text.encode() for name, text in plan["files"].items()} | page,
        stdout=[text for stream, text in console if stream == "stdout"],
        stderr=[text for stream, text in console if stream == "stderr"],
        summary=plan["summary"],
        exit_code=exit_code,
    )


def record_rows(folder: Path, rows: int, metrics: int, run_id: str = "rows") -> RecordedRun:
    """Records a healthy run of that many rows with that many metrics each, and nothing else.

    Raises RuntimeError, with what the process printed, when it fails.
    """
    if rows < 1:
        raise ValueError("a run of rows has at least one")
    plan = _plan(run_id, {}, {}, settings={"x_disable_stats": True}, generated=[rows, metrics])
    path = _record(folder, plan, _PATIENCE + rows / _ROWS_PER_SECOND)
    return RecordedRun(path, run_id, plan["init"], {}, [_generated(step, metrics) for step in range(rows)])


def record_killed(folder: Path, run_id: str = "killed", metrics: int = 10) -> RecordedRun:
    """Records a run that is killed while it logs, once two blocks are on disk: SIGKILL to it and all below it.

    `rows` are all the rows that the log may hold; it holds a prefix of them, and no end.
    Raises RuntimeError, with what the process printed, when it ends before.
    """
    plan = _plan(run_id, {}, {"killed": True}, settings={"x_disable_stats": True}, generated=[0, metrics])
    with _started(folder, plan) as process:
        deadline = time.monotonic() + _PATIENCE
        while _log_size(folder, run_id) < _TWO_BLOCKS:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(_failure(folder, process))
            time.sleep(0.01)
    told = (folder / "told").read_text().splitlines()
    rows = [_generated(step, metrics) for step in range(len(told))]
    return RecordedRun(_run_directory(folder, run_id), run_id, plan["init"], {"killed": True}, rows, exit_code=None)


def _plan(run_id: str, init: dict[str, Any], config: dict[str, Any], **changes: Any) -> dict[str, Any]:
    nothing: dict[str, Any] = {
        "settings": {},
        "files": {},
        "console": [],
        "rows": [],
        "pages": {},
        "late_config": {},
        "summary": {},
        "generated": None,
        "await_system_metrics": False,
        "exit_code": 0,
    }
    return {**nothing, "init": {"project": "recorded", "id": run_id, "config": config, **init}, **changes}


def _generated(step: int, metrics: int) -> dict[str, Any]:
    return {f"m{column}": step + column / 8 for column in range(metrics)}


def _html_file(key: str, step: int, page: str) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Give the file that the SDK makes of a page, and the row that names it."""
    digest = hashlib.sha256(page.encode()).hexdigest()
    path = f"media/html/{key}_{step}_{digest[:20]}.html"
    value = {"_type": "html-file", "path": path, "sha256": digest, "size": len(page.encode())}
    return {path: page.encode()}, {key: value}


def _record(folder: Path, plan: dict[str, Any], patience: float) -> Path:
    with _started(folder, plan) as process:
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            raise RuntimeError(_failure(folder, process)) from None
    if process.returncode:
        raise RuntimeError(_failure(folder, process))
    return _run_directory(folder, plan["init"]["id"])


@contextmanager
def _started(folder: Path, plan: dict[str, Any]) -> Iterator[subprocess.Popen[bytes]]:
    """Starts the recording; whatever lives of it at the end is killed, before any of it can tidy up."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", _RECORD, json.dumps(plan)]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=_variables(folder), stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        _kill_tree(process)


def _kill_tree(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        parent = psutil.Process(process.pid)
        tree = [parent, *parent.children(recursive=True)]
        for each in tree:
            each.kill()
        psutil.wait_procs(tree, timeout=_PATIENCE)
    process.wait(_PATIENCE)


def _variables(folder: Path) -> dict[str, str]:
    home = folder / "home"
    home.mkdir(exist_ok=True)
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "WANDB_MODE": "offline",
        "WANDB_CONSOLE": "wrap",
        "WANDB_SILENT": "true",
        "WANDB_ERROR_REPORTING": "false",
    }


def _run_directory(folder: Path, run_id: str) -> Path:
    (path,) = folder.glob(f"wandb/offline-run-*-{run_id}")
    return path


def _log_size(folder: Path, run_id: str) -> int:
    return max((log.stat().st_size for log in folder.glob(f"wandb/offline-run-*/run-{run_id}.wandb")), default=0)


def _failure(folder: Path, process: subprocess.Popen[bytes]) -> str:
    return f"the recording ended with {process.poll()}: {(folder / 'output').read_text(errors='replace')}"
