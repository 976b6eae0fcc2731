"""Keeps what a benchmark has measured, with all that has to be known to judge it: how, when, and on which machine.

A benchmark calls `note` beside each figure that it prints. With BACKHAUL_BENCHMARK_RESULT set to a path, the figures of
the process are written there as JSON at its end; `benchmarks/report` makes the tables of the pages of such files.
"""

from __future__ import annotations

import atexit
import json
import os
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PLACE = "BACKHAUL_BENCHMARK_RESULT"
_BEGAN, _LOAD = time.time(), os.getloadavg()[0]
_figures: dict[str, Any] = {}


def note(name: str, **figures: Any) -> None:
    """Keep the figures of one measurement: numbers, with the unit in their name, or objects of such."""
    if not _figures and _PLACE in os.environ:
        atexit.register(_write, Path(os.environ.pop(_PLACE)))  # popped: a child of ours writes nothing there
    _figures[name] = figures


def _write(place: Path) -> None:
    document = {
        "command": " ".join(["benchmarks/" + Path(sys.argv[0]).name, *sys.argv[1:]]),
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime(_BEGAN)) + " UTC",
        "seconds": round(time.time() - _BEGAN, 1),
        "load_before": round(_LOAD, 1),
        "load_after": round(os.getloadavg()[0], 1),
        "machine": _machine(),
        "versions": {"python": platform.python_version(), "backhaul": _version("backhaul"), "wandb": _version("wandb")},
        "figures": _figures,
    }
    place.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _machine() -> dict[str, Any]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    models = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {"cores": os.cpu_count(), "memory_gib": round(memory / 2**30), "processor": models[0] if models else "?"}


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
