"""Commands begin quickly: what takes long to load is loaded when it is used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..command import Backhaul, copy_of
from ..sync_fixtures import backhaul

__all__ = ["backhaul"]

_LOAD = """
import importlib, sys
for name in ("main", "status", "show", "export", "queue", "sync", "verify", "repair", "run", "init", "pack"):
    importlib.import_module("backhaul.cli." + name)
heavy = {"aiohttp", "cryptography", "graphql", "numpy", "pandas", "psycopg", "starlette", "wandb"}
print(*sorted(heavy & sys.modules.keys()))
"""
# Runs a command as its program does, and says at its end what is loaded.
_COMMAND = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
from backhaul.cli import main
main()
"""
_NEVER = {"backhaul.depot", "graphql", "pandas", "pyarrow", "starlette", "uvicorn", "wandb", "watchfiles"}
_WITHOUT_A_SERVER = _NEVER | {"aiohttp", "backhaul.wire.server", "cryptography", "numpy", "ssl"}
# What reads bundles, is for a terminal, writes a file of a run, or looks at processes and foreign files.
_SELDOM = {"backhaul.bundle.opening", "psutil", "rich.progress", "sqlite3", "yaml", "zstandard"}


def _loaded_by(*arguments: object, home: Path, env: dict[str, str] | None = None) -> set[str]:
    """The modules that a command has loaded when it ends."""
    env = env or {"PATH": os.environ["PATH"], "HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND, *map(str, arguments)],
        env=env,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


def test_no_command_loads_what_it_may_never_need() -> None:
    """Neither the libraries of HTTP, signatures, columns or the depot, for `--help` and for work without a server."""
    done = subprocess.run([sys.executable, "-c", _LOAD], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


@pytest.mark.parametrize("arguments", [["--version"], ["--help"]])
def test_what_says_something_of_the_program_loads_nothing_of_it(arguments: list[str], tmp_path: Path) -> None:
    """Not even what every command needs."""
    loaded = _loaded_by(*arguments, home=tmp_path)
    assert not loaded & (_WITHOUT_A_SERVER | _SELDOM | {"asyncio", "google.protobuf", "rich"})


def test_status_loads_what_reads_logs_and_no_more(tmp_path: Path) -> None:
    """It sends nothing and makes no rows."""
    loaded = _loaded_by("status", str(copy_of("0.31.0", tmp_path)), home=tmp_path)
    assert "google.protobuf" in loaded
    assert not loaded & (_WITHOUT_A_SERVER | _SELDOM | {"asyncio", "backhaul.runs.rows"})


def test_a_sync_that_has_nothing_to_do_loads_no_library_of_http(backhaul: Backhaul, tmp_path: Path) -> None:
    """Everything is verified by the ledger; neither is a file written nor drawn, nor a signature made."""
    run = copy_of("0.31.0", tmp_path)
    assert backhaul.sync(run).exit_code == 0
    loaded = _loaded_by("sync", run, home=tmp_path, env=backhaul.env)
    assert "backhaul.sync.engine" in loaded
    assert not loaded & (_NEVER | _SELDOM | {"aiohttp", "cryptography", "numpy"})


def test_a_sync_loads_no_more_than_it_uses(backhaul: Backhaul, tmp_path: Path) -> None:
    """Of a short run, without a terminal: no columns, no bars, no bundles."""
    run = copy_of("0.31.0", tmp_path)
    loaded = _loaded_by("sync", run, home=tmp_path, env=backhaul.env)
    assert {"aiohttp", "cryptography", "yaml"} <= loaded
    assert not loaded & (_NEVER | _SELDOM - {"yaml"} | {"numpy"})
