"""Rows of the log, held against those that a server gives back."""

from __future__ import annotations

import asyncio
import json
from typing import cast

from backhaul.sync.retry import Retrier
from backhaul.sync.row_comparison import RowComparison
from backhaul.wire.remote import RunAddress
from backhaul.wire.server import Server

_HERE = RunAddress(entity="ada", project="cifar", run_id="run-a", storage_id="storage-id")


class _Store:
    """A server that counts steps in 64 bits, as all do."""

    def __init__(self, rows: list[dict[str, int]]) -> None:
        self.rows = rows

    async def history_rows(self, _: RunAddress, first: int, stop: int, size: int) -> list[str]:
        """The rows of these steps."""
        assert -(1 << 63) <= first < stop < 1 << 63
        return [json.dumps(row) for row in self.rows if first <= row["_step"] < stop][:size]


def test_steps_beyond_those_that_a_server_counts_are_not_asked_for() -> None:
    """`run.log(…, step=2**63 - 1)`, and one more row: those before are compared all the same."""
    rows = [{"_step": step, "x": 1} for step in (1, 2, (1 << 63) - 2, (1 << 63) - 1, 1 << 63)]
    found = {}
    for name, there in {"the same": rows, "one less": rows[1:]}.items():
        comparison = RowComparison(cast(Server, _Store(there)), _HERE, Retrier())
        asyncio.run(comparison.take([json.dumps(row) for row in rows]))
        asyncio.run(comparison.take([json.dumps(row) for row in rows[3:]]))
        found[name] = [str(difference.what) for difference in comparison.differences]
    assert found == {"the same": [], "one less": ["row of step 1"]}
