"""Commands begin quickly: what takes long to load is loaded when it is used."""

from __future__ import annotations

import subprocess
import sys

_LOAD = """
import importlib, sys
for name in ("main", "status", "show", "export", "queue", "sync", "verify", "repair", "run", "init", "pack"):
    importlib.import_module("backhaul.cli." + name)
heavy = {"aiohttp", "cryptography", "graphql", "numpy", "pandas", "psycopg", "starlette", "wandb"}
print(*sorted(heavy & sys.modules.keys()))
"""


def test_no_command_loads_what_it_may_never_need() -> None:
    """Neither the libraries of HTTP, signatures, columns or the depot, for `--help` and for work without a server."""
    done = subprocess.run([sys.executable, "-c", _LOAD], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
