"""The whole of a sync in a simulated world: whatever a seed brings, the run comes home once and whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from ...simulation import live_through, record_parts


def _live_through_all(seeds: range, folder: Path) -> None:
    parts = record_parts(folder / "parts")
    for seed in seeds:
        try:
            live_through(seed, parts, folder / "state")
        except BaseException as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error


def test_a_hundred_and_fifty_lives_end_with_the_run_at_home(tmp_path: Path) -> None:
    """Lost answers, deaths, power cuts, full disks, late counts, backups: each line once, under one number."""
    _live_through_all(range(150), tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_hundred_thousand_lives_end_with_the_run_at_home(tmp_path: Path) -> None:
    """The same, for hours."""
    _live_through_all(range(150, 100_150), tmp_path)
