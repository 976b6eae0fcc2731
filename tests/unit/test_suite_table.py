"""The table of the official client's system tests: what is counted, and what is told of each test that did not pass."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

_SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the script."""
    monkeypatch.syspath_prepend(str(_SCRIPTS))
    from suite import table as found  # type: ignore[import-not-found]

    yield found
    for name in [name for name in sys.modules if name.partition(".")[0] == "suite"]:
        del sys.modules[name]


def _line(test: str, outcome: str, **more: Any) -> str:
    fields = {"test": f"tests/system_tests/{test}", "outcome": outcome, "when": "call", "server": True,
              "expected": False, "seconds": 1, "reason": ""}  # fmt: skip
    return json.dumps(fields | more) + "\n"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """What the plugin wrote of a run."""
    path = tmp_path / "results.jsonl"
    path.write_text(
        _line("test_core/test_a.py::one", "passed")
        + _line("test_core/test_a.py::two", "failed", reason="a | b\nnext line")
        + _line("test_core/test_a.py::two", "passed", when="teardown")
        + _line("test_core/test_b.py::three", "passed", server=False)
        + _line("test_core/test_b.py::three", "failed", when="teardown", server=False, reason="left open")
        + _line("test_core/test_b.py::four", "skipped", expected=True)
        + _line("test_core/test_b.py::five", "skipped", reason="Skipped: no such module")
    )
    return path


def test_each_test_counts_once_by_its_worst_phase(table: Any, results: Path) -> None:
    """A test that passed and whose teardown failed has failed; one that must fail is not skipped."""
    found = {each.test.rpartition("::")[2]: each.outcome for each in table.read(results)}
    assert found == {"one": "passed", "two": "failed", "three": "failed", "four": "xfailed", "five": "skipped"}


def test_the_table_counts_and_names_what_did_not_pass(table: Any, results: Path) -> None:
    """Those that need a server apart; each failure and skip with its reason, in one cell."""
    text = table.markdown(table.read(results), every=False)
    assert "Tests that need a server: 4: 1 passed, 1 failed, 1 skipped, 1 xfailed." in text
    assert "All that were run: 5: 1 passed, 2 failed, 1 skipped, 1 xfailed." in text
    assert "| `test_core/test_a.py` | 1 | 1 |  |  |" in text
    assert "| `test_core/test_a.py::two` | a \\| b next line |" in text
    assert "| `test_core/test_b.py::five` | Skipped: no such module |" in text
    assert "::one" not in text


def test_a_run_that_ended_before_its_first_test_has_no_results(table: Any, tmp_path: Path) -> None:
    """The script then says that nothing was run."""
    assert table.read(tmp_path / "results.jsonl") == []
