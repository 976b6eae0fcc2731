"""The server's last row before ours go over it: ours of that number, another one of ours, or somebody else's."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from backhaul.errors import RemoteConflict
from backhaul.runs.rows import Stream
from backhaul.sync.batch import Batch
from backhaul.sync.progress import Progress, no_lines
from backhaul.sync.server_tail import TailCheck, server_tail
from backhaul.wire.remote import RunStatus

_ROWS = [json.dumps({"_step": step, "_timestamp": 100.5 + step}) for step in range(6)]


def _status(count: int, tail: str | None) -> RunStatus:
    return RunStatus(count, 0, 0, "{}", "{}", [tail] if tail else [], [], "", (), "", started=True)


def _batch(first: int, rows: list[str], *, is_last: bool = True) -> Batch:
    nothing: dict[Stream, list[str]] = {stream: [] for stream in no_lines()}
    return Batch({**no_lines(), Stream.HISTORY: first}, nothing | {Stream.HISTORY: rows}, is_last=is_last)


def _check(status: RunStatus, batch: Batch, base: int = 0) -> None:
    progress = replace(Progress(begun=True), base={**no_lines(), Stream.HISTORY: base})
    asyncio.run(TailCheck(server_tail(status, progress), lambda: iter(_ROWS)).of(batch))


_OTHER = json.dumps({"_step": 3, "_timestamp": 900.0})


@pytest.mark.parametrize(
    ("count", "tail", "base", "batch"),
    [
        (4, _ROWS[3], 0, _batch(0, _ROWS)),
        # The answer to it was lost: more is there than any ledger knows.
        (6, _ROWS[5], 0, _batch(0, _ROWS)),
        # Counts are fresh, and the row is the last one of a moment ago.
        (6, _ROWS[2], 0, _batch(0, _ROWS)),
        # The official client sent all of it once more, behind ours: a difference, and no other run.
        (12, _ROWS[5], 0, _batch(0, _ROWS)),
        # Another part's rows are before ours; a stand-in keeps its time; a row without a time tells nothing.
        (3, _OTHER, 3, _batch(0, _ROWS)),
        (4, json.dumps({"_step": 3, "_timestamp": 103.5, "more": 1}), 0, _batch(0, _ROWS)),
        (4, json.dumps({"_step": 3}), 0, _batch(0, _ROWS)),
        (4, None, 0, _batch(0, _ROWS)),
        # Its number is in a batch to come.
        (6, _OTHER, 0, _batch(0, _ROWS[:3], is_last=False)),
    ],
)
def test_a_row_that_may_be_ours_is_no_conflict(count: int, tail: str | None, base: int, batch: Batch) -> None:
    """Nothing is raised."""
    _check(_status(count, tail), batch, base)


@pytest.mark.parametrize(("count", "base"), [(4, 0), (9, 5), (7, 0)])
def test_a_row_of_another_time_that_is_none_of_ours_is_a_conflict(count: int, base: int) -> None:
    """At one of our numbers, or behind our last one."""
    with pytest.raises(RemoteConflict, match="somebody else"):
        _check(_status(count, _OTHER), _batch(0, _ROWS), base)
