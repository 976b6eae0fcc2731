"""Promise 2: a run is verified only after the destination was asked what it holds, and it equals the log."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..command import Backhaul, ledger_of, marker_of
from ..conftest import DepotProcess
from ..depot_contents import held
from ..fault_proxy import FaultProxy, changing, lying


def test_a_healthy_run_arrives_and_is_read_back(
    backhaul: Backhaul, depot: DepotProcess, healthy: Path, project: str
) -> None:
    """All that the log holds is in the depot's store; then there is a receipt and the official marker."""
    done = backhaul.sync(healthy, "-p", project)
    assert done.exit_code == 0, done.stderr
    run = done.only
    there = held(depot.data, project, "healthy")
    assert [row["loss"] for row in there.rows] == [1 / (step + 1) for step in range(300)]
    assert there.console == [f"line {step}" for step in range(0, 300, 10)] + ["ERROR an error line"]
    assert there.files["saved.txt"] == b"saved " * 500
    assert there.run.state == "finished"
    assert run["state"] == "verified"
    assert marker_of(healthy).exists()
    receipt = json.loads(Path(run["receipt"]).read_text())
    assert receipt["lines"] == there.counts
    assert receipt["files"].keys() == there.files.keys()
