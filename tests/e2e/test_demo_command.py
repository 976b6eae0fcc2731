"""`backhaul demo`: the first thing that a user runs."""

from __future__ import annotations

import re

import pytest

from ..command import Backhaul

# Other programs do the work, on a machine that may have much else to do.
pytestmark = pytest.mark.timeout(500)


def test_the_demo_shows_three_runs_and_what_was_lost(backhaul: Backhaul) -> None:
    """Recorded, synced, read back by the official API; it ends by itself, and leaves nothing behind."""
    done = backhaul("demo", timeout=400)
    assert done.exit_code == 0, done.stderr
    assert re.search(r"healthy\s+verified\s+400\s+400", done.stderr)
    killed = re.search(r"killed\s+verified\s+(\d+)\s+(\d+)", done.stderr)
    assert killed is not None
    assert killed[1] == killed[2]
    damaged = re.search(r"damaged\s+verified\s+(\d+)\s+(\d+)", done.stderr)
    assert damaged is not None
    assert damaged[1] == damaged[2] != "400"
    # The depot ends with the command: an address of it would lead nowhere.
    assert "?key=" not in done.stderr
    assert "backhaul demo --keep" in done.stderr
