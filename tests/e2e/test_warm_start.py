"""Commands that are forked for the tests say what those say that begin as they do for a user."""

from __future__ import annotations

import subprocess

import psutil
import pytest

from ..command import Backhaul, copy_of
from ..fault_proxy import FaultProxy, stall
from ..waiting import until
from ..warm_start import is_warm

_ANEW = ("env",)


@pytest.mark.parametrize(
    "line",
    [
        ("status", "work", "--json"),
        ("show", "work"),
        ("show", "work", "--no-such-option"),
        ("verify", "nothing-here"),
        ("export", "work", "-o", "rows.jsonl", "--dry-run"),
    ],
)
def test_output_and_exit_code_are_those_of_one_that_begins_anew(backhaul: Backhaul, line: tuple[str, ...]) -> None:
    """With what the environment says of the terminal, too."""
    copy_of("0.31.0", backhaul.cwd / "work")
    assert is_warm(line, backhaul.env)
    for settings in ({"COLUMNS": "50"}, {"COLUMNS": "150", "FORCE_COLOR": "1"}):
        there = backhaul.with_env(**settings)
        forked, anew = there(*line), there(*line, prefix=_ANEW)
        assert (forked.exit_code, forked.stdout, forked.stderr) == (anew.exit_code, anew.stdout, anew.stderr)


def test_one_that_takes_too_long_is_killed(backhaul: Backhaul, proxy: FaultProxy, project: str) -> None:
    """As `subprocess.run` does it."""
    run = copy_of("0.31.0", backhaul.cwd / "work")
    proxy.always("UpsertBucket", stall)
    with pytest.raises(subprocess.TimeoutExpired):
        backhaul.to(proxy.url).sync(run, "-p", project, timeout=3)
    until(lambda: not _holds_something_below(backhaul), "it is gone")


def _holds_something_below(backhaul: Backhaul) -> bool:
    return any(process.info["cwd"] == str(backhaul.cwd) for process in psutil.process_iter(["cwd"]))
