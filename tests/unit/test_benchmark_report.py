"""Tables of figures are made of what was measured, and of nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_BENCHMARKS = _ROOT / "benchmarks"


def _python(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    given = os.environ | {"PYTHONPATH": str(_BENCHMARKS)} | env
    return subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True, check=False)


def _table(name: str, measured: Path) -> str:
    done = _python(
        f"from pathlib import Path; from tables import table_of; print(table_of({name!r}, Path({str(measured)!r})))"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_is_what_was_measured() -> None:
    """Whoever changes a figure by hand is told."""
    checked = subprocess.run(
        [sys.executable, str(_BENCHMARKS / "report"), "--check"], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout) == (0, "")


@pytest.mark.parametrize(("ours", "met"), [(4.0, "| **0.40** | ≤ 0.5 | yes |"), (6.0, "| **0.60** | ≤ 0.5 | **no** |")])
def test_whether_a_goal_is_met_is_computed(tmp_path: Path, ours: float, met: str) -> None:
    """A row has both figures, their ratio, the goal, and whether it is met; what was not measured says so."""
    figures = {
        f"{client}, {what}": value
        for client, value in (("backhaul sync", ours), ("wandb sync", 10.0))
        for what in ("wall", "cpu", "memory_mib")
    }
    (tmp_path / "long.json").write_text(json.dumps({"figures": {"long run": figures}}))
    table = _table("syncing", tmp_path)
    assert f"| {ours:.1f} s | 10.0 s {met}" in table
    assert "\nNot measured on this machine: many.\n" in table


def test_a_benchmark_keeps_its_figures_with_all_that_judges_them(tmp_path: Path) -> None:
    """Command, date, versions, machine and load are in the file; without a place nothing is written."""
    result = tmp_path / "result.json"
    code = "import os; from results import note; note('a', wall=1.5); note('b', wall=2); os.system('true')"
    assert _python(code).returncode == 0
    assert not result.exists()
    assert _python(code, BACKHAUL_BENCHMARK_RESULT=str(result)).returncode == 0
    told = json.loads(result.read_text())
    assert told["figures"] == {"a": {"wall": 1.5}, "b": {"wall": 2}}
    assert told["machine"]["cores"] == os.cpu_count()
    assert {"command", "date", "seconds", "load_before", "load_after", "versions"} < told.keys()
