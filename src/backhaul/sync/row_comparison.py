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
            if not ours:
                continue
            first, last = ours[0]["_step"], ours[-1]["_step"]
            page = partial(self.server.history_rows, self.address, first, last + 1, len(ours) + 1)
            theirs = [_row(line) for line in await self.retrier.run(page)]
            self._compare({row["_step"]: row for row in ours}, {row.get("_step"): row for row in theirs})

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
