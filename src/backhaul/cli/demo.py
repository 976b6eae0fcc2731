"""`backhaul demo`: record three real runs, sync them to a depot, and show what arrived."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from backhaul.cli.demo_runs import DemoFolder, record_damaged, record_healthy, record_killed
from backhaul.cli.render import STDERR
from backhaul.errors import BackhaulError, ConfigurationError
from backhaul.sync.local_depot import LocalDepot, running_depot

_READ_BY_THE_SDK = """
import json, sys, wandb
api = wandb.Api()
rows = {path: sum(1 for _ in api.run(path).scan_history()) for path in sys.argv[1:]}
print(json.dumps(rows))
"""


@click.command("demo")
@click.option("--keep", is_flag=True, help="Leave the depot up, to look around; ends with Ctrl-C.")
def command(keep: bool) -> None:
    """Record three real offline runs, sync them to a depot on this machine, and show what arrived."""
    if importlib.util.find_spec("wandb") is None:
        raise ConfigurationError(
            "The demo records runs with the real wandb SDK, which is not installed here.",
            next="pip install 'backhaul[demo]'",
        )
    path = Path(tempfile.mkdtemp(prefix="backhaul-demo-"))
    try:
        _demonstrate(DemoFolder(path), keep)
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _demonstrate(folder: DemoFolder, keep: bool) -> None:
    STDERR.rule("1. Three offline runs, recorded by the wandb SDK")
    _step("a healthy one, with a saved file and console output", record_healthy, folder)
    _step("one that is killed (SIGKILL) while it logs", record_killed, folder)
    _step("one whose log is damaged on disk afterwards", record_damaged, folder)
    with running_depot(folder.path / "depot") as depot:
        STDERR.rule(f"2. backhaul sync {folder.wandb} --to {depot.url}")
        document = _sync(folder, depot)
        STDERR.rule("3. What arrived, read back by wandb.Api()")
        STDERR.print(_arrived(document, _rows_by_sdk(folder, depot, document)))
        STDERR.rule("4. Look at it")
        if keep:
            STDERR.print(depot.sign_in, soft_wrap=True)
            STDERR.print("The depot stays up until Ctrl-C.")
            _wait_for_interrupt()
        else:
            STDERR.print("[dim]`backhaul demo --keep` leaves the depot up, and prints the address of its pages.[/]")


def _step(what: str, record: Callable[[DemoFolder], None], folder: DemoFolder) -> None:
    with STDERR.status(f"recording {what} …"):
        record(folder)
    STDERR.print(f"  recorded {what}")


def _sync(folder: DemoFolder, depot: LocalDepot) -> dict[str, Any]:
    """Run the command as a user would; its progress goes straight to the terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "backhaul", "sync", str(folder.wandb), "--to", depot.url, "--json"],
        env=folder.environment() | {"WANDB_API_KEY": depot.api_key},
        stdout=subprocess.PIPE,
        check=False,
    )
    document: dict[str, Any] = json.loads(done.stdout or b"{}")
    if len(document.get("runs", [])) != 3:
        raise BackhaulError(f"The sync ended with exit code {done.returncode} and told of no three runs.")
    return document


def _rows_by_sdk(folder: DemoFolder, depot: LocalDepot, document: dict[str, Any]) -> dict[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", _READ_BY_THE_SDK, *map(_run_path, document["runs"])],
        env=folder.environment() | {"WANDB_API_KEY": depot.api_key, "WANDB_BASE_URL": depot.url},
        stdout=subprocess.PIPE,
        check=True,
    )
    rows: dict[str, int] = json.loads(done.stdout)
    return rows


def _run_path(run: dict[str, Any]) -> str:
    return f"{run['entity']}/{run['project']}/{run['run_id']}"


def _arrived(document: dict[str, Any], rows: dict[str, int]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("run", "state", "rows in the log", "rows by wandb.Api", "files", "lost, and why"):
        table.add_column(column, overflow="fold")
    for run in document["runs"]:
        history = run["streams"]["history"]
        table.add_row(
            escape(run["name"] or run["run_id"]),
            run["state"],
            str(history["local"]),
            str(rows[_run_path(run)]),
            f"{run['files']['remote']}/{run['files']['local']}",
            escape(_loss(run)),
        )
    return table


def _loss(run: dict[str, Any]) -> str:
    if run["damage"] and run["error"] is not None:
        return str(run["error"]["message"]).partition(": ")[2]
    if run["error"] is not None:
        return str(run["error"]["message"])
    return " ".join(run["notes"]) or "nothing"


def _wait_for_interrupt() -> None:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        STDERR.print("Stopping the depot.")
