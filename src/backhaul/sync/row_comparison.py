"""Every history row of the log, held against the rows that the destination gives back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from backhaul.sync.retry import Retrier
from backhaul.sync.verify import Difference, Kind, plain
from backhaul.wire.remote import RunAddress
from backhaul.wire.server import Server

_ROWS_AT_ONCE = 1000
_MOST_DIFFERENCES = 5
# Servers count steps in 64 bits, and are asked for those before a last one: rows from here on cannot be asked for.
_STEPS = (1 << 63) - 1


@dataclass(slots=True)
class RowComparison:
    """Reads rows back in pages and compares them; `differences` are the first few that were found.

    What a server adds to a row is no difference; what is missing from it, or has another value, is.
    """

    server: Server
    address: RunAddress
    retrier: Retrier
    differences: list[Difference] = field(default_factory=list)

    async def take(self, lines: Sequence[str]) -> None:
        """Compare the next lines of the log, which are in order of their steps."""
        for start in range(0, len(lines), _ROWS_AT_ONCE):
            if len(self.differences) >= _MOST_DIFFERENCES:
                return
            rows = map(_row, lines[start : start + _ROWS_AT_ONCE])
            ours = [row for row in rows if row["_step"] < _STEPS]
            self._compare({row["_step"]: row for row in ours}, await self._read([row["_step"] for row in ours]))

    async def _read(self, steps: list[int]) -> dict[Any, dict[str, Any]]:
        """The destination's rows of these steps, by step. A server may give fewer rows at once than it is asked for."""
        found: dict[Any, dict[str, Any]] = {}
        while steps:
            page = partial(self.server.history_rows, self.address, steps[0], steps[-1] + 1, len(steps) + 1)
            found |= {row.get("_step"): row for row in map(_row, await self.retrier.run(page))}
            missing = [step for step in steps if step not in found]
            if len(missing) == len(steps):
                break
            steps = missing
        return found

    def _compare(self, ours: dict[int, dict[str, Any]], theirs: dict[Any, dict[str, Any]]) -> None:
        for step, row in ours.items():
            found = theirs.get(step)
            if found is None:
                self._tell(Difference(f"row of step {step}", "a row", "nothing", Kind.LESS))
                continue
            for key, value in row.items():
                if key not in found:
                    self._tell(Difference(f"{key!r} at step {step}", json.dumps(value), "nothing", Kind.LESS))
                elif found[key] != value:
                    self._tell(Difference(f"{key!r} at step {step}", json.dumps(value), json.dumps(found[key])))

    def _tell(self, difference: Difference) -> None:
        if len(self.differences) < _MOST_DIFFERENCES:
            self.differences.append(difference)


def _row(line: str) -> dict[str, Any]:
    row = plain(json.loads(line))
    assert isinstance(row, dict)
    return row
