"""A pytest plugin: writes how each test ended, and whether it needed a server. Runs where Backhaul is not installed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

_SERVER = "local_wandb_backend"  # every fixture of the suite that reaches a server stands on this one


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Notes on each test whether it needs a server; the note travels with its reports."""
    for item in items:
        item.user_properties.append(("server", _SERVER in getattr(item, "fixturenames", ())))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """One line for each phase that says something: the test itself, and a failed or skipping setup or teardown."""
    if "PYTEST_XDIST_WORKER" in os.environ or (report.when != "call" and report.passed):
        return
    line = {
        "test": report.nodeid,
        "outcome": report.outcome,
        "when": report.when,
        "server": dict(report.user_properties).get("server", False),
        "expected": hasattr(report, "wasxfail"),
        "seconds": round(report.duration, 2),
        "reason": _reason(report),
    }
    with Path(os.environ["DEPOT_RESULTS"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _reason(report: pytest.TestReport) -> str:
    if report.passed:
        return ""
    if isinstance(report.longrepr, tuple):  # a skip: file, line, reason
        return str(report.longrepr[2])
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash else report.longrepr)
