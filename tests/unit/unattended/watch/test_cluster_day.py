"""A day of simulated cluster life: whatever happens, every run is home whole, or set aside with a true reason."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from backhaul.unattended.queue.entry import Item, QueueState

from ....cluster import Cluster, live_a_day


def _holds(cluster: Cluster, items: Sequence[Item]) -> None:
    """What must be true at the end."""
    rows = {item.entry.log: item for item in items}
    assert rows.keys() == cluster.runs.keys()
    for log, run in cluster.runs.items():
        item = rows[log]
        if run.truth is None:
            assert item.state is QueueState.VERIFIED, (run, item)
            assert run.verified == run.at_server == run.rows, run
        else:
            assert item.state is QueueState.QUARANTINED, (run, item)
            assert item.entry.reason is not None
            assert item.entry.reason.code == run.truth, (run, item)
        assert item.owner == ""


@pytest.mark.parametrize("seed", range(2))
def test_a_day_ends_with_every_run_home_or_set_aside(seed: int, folder: Path) -> None:
    """Two workers die and come back, the queue's file is lost, network, key and disk fail."""
    _holds(*live_a_day(seed, jobs=15, folder=folder))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 160))
def test_many_days(seed: int, folder: Path) -> None:
    """More jobs, more seeds; sometimes one worker, sometimes four."""
    _holds(*live_a_day(seed, jobs=60, folder=folder, workers=1 + seed % 4))
