"""Outcomes in terminals of any width: what is to be copied is in one piece."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from backhaul.cli.render import show_outcomes
from backhaul.counted import counted
from backhaul.sync.outcome import Outcome, RunState


@pytest.mark.parametrize("width", [40, 72, 80, 100, 200])
def test_no_run_id_is_cut_into_two_lines(width: int) -> None:
    """However long entity and project are."""
    outcome = Outcome(Path("/runs"), "f8yarno1", state=RunState.VERIFIED, name="lovely-sun-3")
    outcome.entity, outcome.project = "my-group", "image-classifier"
    printed = io.StringIO()
    show_outcomes([outcome], Console(file=printed, width=width))
    lines = printed.getvalue().splitlines()
    assert any("f8yarno1  lovely-sun-3" in line for line in lines)
    assert any("my-group/image-classifier/f8yarno1" in line for line in lines) or width < 100


def test_one_is_no_plural() -> None:
    """What is counted is in words that read as such."""
    assert [counted(number, "run") for number in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]
