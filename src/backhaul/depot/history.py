"""Reading a run's streams: tails, samples, pages by step, keys.

A batch never changes under its id, so what was learnt from one is kept for the next question (bounded).
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterator
from typing import Any

from backhaul.depot import columns, rows, stretches
from backhaul.depot.memory import Memory
from backhaul.depot.model import HISTORY, BatchRef, Run, Stretch
from backhaul.depot.rows import Row
from backhaul.depot.store import Store
from backhaul.depot.stretches import Facts, Part

_REMEMBERED_STEPS = 64 << 20  # bytes
_REMEMBERED_COLUMNS = 128 << 20
_REMEMBERED_FACTS = 32 << 20
_FACT = 400  # bytes, about
_MUCH = 4096  # rows of which nothing is known; a digest of them is worth asking for


class HistoryReader:
    """Answers questions about the lines of runs in a store. Safe to use from any thread."""

    def __init__(self, store: Store, want: Callable[[int], None] = lambda _run_id: None) -> None:
        """`want` hears of runs that are asked about and were not digested."""
        self._store = store
        self._want = want
        self._steps: Memory[int, array[int]] = Memory(_REMEMBERED_STEPS, lambda steps: 100 + 8 * len(steps))
        self._columns: Memory[int, columns.Batch] = Memory(_REMEMBERED_COLUMNS, columns.weigh)
        self._facts: Memory[int, dict[str, Facts]] = Memory(_REMEMBERED_FACTS, lambda facts: _FACT * len(facts))

    def parts(self, run: Run, stream: str = HISTORY) -> list[Part]:
        """The batches of a stream, by what is known of them."""
        found = stretches.parts(self._store.stretches(run.id, stream), self._store.batches(run.id, stream))
        if any(part.stretch is None and part.rows >= _MUCH for part in found):
            self._want(run.id)
        return found

    def tail(self, run: Run, stream: str, count: int = 1) -> list[str]:
        """The last `count` lines of a stream."""
        result: list[str] = []
        for ref in reversed(self._store.batches(run.id, stream)):
            if len(result) >= count:
                break
            result = self._lines(ref) + result
        return result[-count:] if count else []

    def sample(self, run: Run, stream: str, samples: int) -> list[str]:
        """At most `samples` lines, evenly spread, the first and the last among them."""
        refs = self._store.batches(run.id, stream)
        total = sum(ref.count for ref in refs)
        wanted = _spread(total, samples)
        result: list[str] = []
        seen = 0
        for ref in refs:
            chosen = [index - seen for index in wanted if seen <= index < seen + ref.count]
            if chosen:
                lines = self._lines(ref)
                result += [lines[index] for index in chosen if index < len(lines)]
            seen += ref.count
        return result

    def page(self, run: Run, first: int, stop: int, limit: int | None = None) -> list[str]:
        """The rows whose `_step` is at least `first` and below `stop`, in step order."""
        found: list[tuple[int, str]] = []
        for part in self.parts(run):
            if part.stretch and (part.stretch.highest_step < first or part.stretch.lowest_step >= stop):
                continue
            for ref in part.refs:
                pairs = zip(self._batch_steps(ref), self._lines(ref), strict=False)
                found += [(step, line) for step, line in pairs if first <= step < stop]
        found.sort(key=lambda pair: pair[0])
        return [line for _, line in found[:limit]]

    def sampled(self, run: Run, keys: list[str], samples: int, first: int, stop: int) -> list[Row]:
        """Rows that have all of `keys`, with these only, at most `samples`, evenly spread over the steps."""
        wanted = list(dict.fromkeys(keys))
        found = [row for line in self.page(run, first, stop) if (row := _picked(line, wanted)) is not None]
        return [found[index] for index in _spread(len(found), samples)]

    def line_after_step(self, run: Run, step: float) -> int:
        """The number of the first line whose `_step` is above `step`; the end of the stream when there is none."""
        parts = self.parts(run)
        for part in parts:
            if part.stretch and part.stretch.highest_step <= step:
                continue
            for ref in part.refs:
                for number, found in enumerate(self._batch_steps(ref), ref.first):
                    if found > step:
                        return number
        return parts[-1].refs[-1].first + parts[-1].refs[-1].count if parts else 0

    def keys(self, run: Run, stream: str = HISTORY) -> dict[str, Any] | None:
        """The JSON of the field `historyKeys`; None for a run without history."""
        parts = self.parts(run, stream)
        if not parts:
            return None
        known: dict[str, Facts] = {}
        for part in parts:
            for facts in self._facts_of(part):
                for key, more in facts.items():
                    known.setdefault(key, Facts.of_nothing()).add(more)
        return {
            "sets": [],
            "keys": {key: _described(facts) for key, facts in known.items()},
            "lastStep": self._last_step(parts),
        }

    def facts(self, stretch: Stretch) -> dict[str, Facts]:
        """What is known of each key in a stretch; not to be changed."""
        return self._facts.get(stretch.id, lambda: stretches.facts_of(self._store.stretch_facts(stretch.id) or "{}"))

    def _facts_of(self, part: Part) -> Iterator[dict[str, Facts]]:
        if part.stretch:
            yield self.facts(part.stretch)
            return
        for ref in part.refs:
            yield {key: Facts.of(column) for key, column in self.columns(ref).items()}

    def _last_step(self, parts: list[Part]) -> int:
        digested = [part.stretch.highest_step for part in parts if part.stretch]
        others = [self._batch_steps(ref) for part in parts if not part.stretch for ref in part.refs]
        return max([*digested, *(max(steps) for steps in others if steps)], default=-1)

    def columns(self, ref: BatchRef) -> columns.Batch:
        """The batch by column."""
        return self._columns.get(ref.id, lambda: columns.read(self._lines(ref)))

    def _lines(self, ref: BatchRef) -> list[str]:
        return self._store.batch_lines(ref.id) or []

    def _batch_steps(self, ref: BatchRef) -> array[int]:
        def read() -> array[int]:
            lines = enumerate(self._lines(ref), ref.first)
            return array("q", [_bounded(rows.step_of(line, number)) for number, line in lines])

        return self._steps.get(ref.id, read)


def _bounded(step: int) -> int:
    return max(-sys.maxsize, min(step, sys.maxsize))


def _spread(total: int, wanted: int) -> list[int]:
    """`wanted` indexes below `total`, evenly spread, both ends included; all of them when they are few."""
    if total <= wanted:
        return list(range(total))
    if wanted < 2:
        return [total - 1] if wanted == 1 else []
    return [index * (total - 1) // (wanted - 1) for index in range(wanted)]


def _picked(line: str, keys: list[str]) -> Row | None:
    row = rows.parse(line)
    picked = {key: rows.value_at(row, key) for key in keys}
    return None if any(value is None for value in picked.values()) else picked


def _described(facts: Facts) -> dict[str, Any]:
    counts = [{"type": name, "count": count} for name, count in facts.types.items()]
    return {"typeCounts": counts, "monotonic": facts.grows, "previousValue": rows.strict(facts.last)}
