"""A server that fails (5xx) at the same row each time fails at that row; one that fails at everything is in trouble."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from backhaul.sync.outcome import Outcome, RunState

from ..conftest import DepotProcess
from ..depot_contents import Held, held
from ..fault_proxy import FaultProxy, Seen, refusal, when
from ..in_process import synced

_WORDS = "internal error"
_FAILS = refusal(500, _WORDS)
# As the one row that has it is written.
_LOSS_AT_170 = f'"loss":{1 / 171}'

Sync = Callable[[], Outcome]


@pytest.fixture
def sync(depot: DepotProcess, proxy: FaultProxy, healthy: Path, tmp_path: Path, project: str) -> Sync:
    """The healthy run through the proxy."""
    return lambda: synced(proxy.url, depot.api_key, healthy, project, tmp_path / "state", 60.0)


@pytest.fixture
def there(depot: DepotProcess, project: str) -> Callable[[], Held]:
    """The run in the depot."""
    return lambda: held(depot.data, project, "healthy")


def _has_row_170(seen: Seen) -> bool:
    parts = seen.json.get("files", {}).values()
    return any(_LOSS_AT_170 in line for part in parts for line in part["content"])


def _has_summary(seen: Seen) -> bool:
    return "wandb-summary.json" in seen.json.get("files", {})


def test_the_row_is_found_and_the_rest_goes_on(sync: Sync, proxy: FaultProxy, there: Callable[[], Held]) -> None:
    """All else is taken, so it is that row; it keeps its place, is named, and is tried again by a later sync."""
    proxy.always("file_stream", when(_has_row_170, _FAILS))
    outcome = sync()
    assert (outcome.state, [item.what for item in outcome.quarantined]) == (
        RunState.QUARANTINED,
        ["history row of step 170"],
    )
    assert _WORDS in outcome.quarantined[0].reason
    assert [row["_step"] for row in there().rows if "loss" not in row] == [170]
    assert (len(there().rows), there().run.state) == (300, "finished")
    assert len(sync().quarantined) == 1
    proxy.heal()
    assert sync().state is RunState.VERIFIED
    assert all("loss" in row for row in there().rows)


def test_a_server_that_fails_at_everything_for_a_while_costs_no_row(
    sync: Sync, proxy: FaultProxy, there: Callable[[], Held]
) -> None:
    """Whatever is sent, stand-ins too, and for some time after these: no line is to blame, all arrive as they are."""
    since_a_stand_in: list[Seen] = []

    def fails(seen: Seen) -> bool:
        content = seen.json.get("files", {}).get("wandb-history.jsonl", {}).get("content", [])
        if since_a_stand_in or any("loss" not in line for line in content):
            since_a_stand_in.append(seen)
        return len(since_a_stand_in) < 8

    proxy.always("file_stream", when(fails, _FAILS))
    outcome = sync()
    assert (outcome.state, outcome.quarantined, outcome.error) == (RunState.VERIFIED, [], None)
    assert len(since_a_stand_in) >= 8
    assert all("loss" in row for row in there().rows)


def test_a_server_that_recovers_when_the_stand_in_comes_costs_no_row(
    sync: Sync, proxy: FaultProxy, there: Callable[[], Held]
) -> None:
    """It fails at every request with a loss in it until one without came: the line itself follows at once."""
    failing = [True]

    def fails(seen: Seen) -> bool:
        content = seen.json.get("files", {}).get("wandb-history.jsonl", {}).get("content", [])
        failing[0] = failing[0] and any("loss" in line for line in content)
        return failing[0]

    proxy.always("file_stream", when(fails, _FAILS))
    outcome = sync()
    assert (outcome.state, outcome.quarantined) == (RunState.VERIFIED, [])
    assert all("loss" in row for row in there().rows)


def test_a_summary_does_not_keep_the_end_back(sync: Sync, proxy: FaultProxy, there: Callable[[], Held]) -> None:
    """It is named, and the run has its end."""
    proxy.always("file_stream", when(_has_summary, _FAILS))
    assert [item.what for item in sync().quarantined] == ["summary"]
    assert there().run.state == "finished"
