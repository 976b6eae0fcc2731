"""Stretches: what is known of some 2,000 neighbouring rows, so that questions about a run need not read them.

A stretch keeps facts about each key (types, last value, range) and, for charts, each key's extremes: of every 32
numbers the lowest and the highest. Of the usual axes it keeps every number, so that each extreme has its true x.
"""

from __future__ import annotations

import json
import math
import struct
from array import array
from collections import Counter
from dataclasses import dataclass
from typing import Any

from isal import isal_zlib

from backhaul.depot import columns
from backhaul.depot.columns import Batch, Column, Points
from backhaul.depot.model import BatchRef, Stretch, StretchDraft

STEP = "_step"

AXES = (STEP, "_runtime", "_timestamp")
"""The keys that charts have as x."""

BUCKET = 32
"""Numbers from which the lowest and the highest are kept."""

_FARTHEST = 1 << 62
_COUNT = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Part:
    """Neighbouring batches of a stream: those of a stretch, or those between two, of which nothing is kept."""

    stretch: Stretch | None
    refs: list[BatchRef]

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return sum(ref.count for ref in self.refs)


def parts(stretches: list[Stretch], refs: list[BatchRef]) -> list[Part]:
    """The batches of a stream by stretch, all in the order of their lines."""
    found: list[Part] = []
    following = iter([*stretches, None])
    stretch = next(following)
    for ref in refs:
        while stretch and stretch.stop <= ref.first:
            stretch = next(following)
        covering = stretch if stretch and stretch.first <= ref.first else None
        if not found or found[-1].stretch != covering:
            found.append(Part(covering, []))
        found[-1].refs.append(ref)
    return found


@dataclass(slots=True)
class Facts:
    """What is known of one key over neighbouring rows; the numbers are the finite ones, infinite when there is none."""

    types: Counter[str]
    last: Any
    grows: bool
    first: float
    lowest: float
    highest: float

    @classmethod
    def of_nothing(cls) -> Facts:
        """Facts to which those of rows can be added."""
        return cls(Counter(), None, True, math.inf, math.inf, -math.inf)

    @classmethod
    def of(cls, column: Column) -> Facts:
        """The facts about a column."""
        numbers = column.numbers
        if not numbers:
            return cls(Counter(column.types), column.last, True, math.inf, math.inf, -math.inf)
        return cls(Counter(column.types), column.last, column.grows, numbers[0], min(numbers), max(numbers))

    def add(self, after: Facts) -> None:
        """Takes in what is known of the rows behind."""
        self.grows = self.grows and after.grows and after.first >= self.highest
        self.first = self.first if math.isfinite(self.first) else after.first
        self.lowest, self.highest = min(self.lowest, after.lowest), max(self.highest, after.highest)
        self.types.update(after.types)
        self.last = after.last


def draft(parts: list[tuple[BatchRef, Batch]]) -> StretchDraft:
    """The stretch of neighbouring batches, given by column."""
    first, last = parts[0][0], parts[-1][0]
    whole = columns.joined([(ref.first - first.first, batch) for ref, batch in parts])
    lowest, highest = _range_of_steps(parts)
    return StretchDraft(
        first=first.first,
        stop=last.first + last.count,
        lowest_step=lowest,
        highest_step=highest,
        facts=_encoded({key: Facts.of(column) for key, column in whole.items()}),
        columns={
            key: pack(column.points if key in AXES else extremes(column.points))
            for key, column in whole.items()
            if column.numbers
        },
        batches=[ref.id for ref, _ in parts],
    )


def facts_of(text: str) -> dict[str, Facts]:
    """The facts about each key, as a stretch holds them."""
    return {
        key: Facts(Counter(types), last, grows, *map(float, numbers))
        for key, (types, last, grows, *numbers) in json.loads(text).items()
    }


def extremes(points: Points) -> Points:
    """Of each bucket of numbers the lowest and the highest, in the order of their places."""
    places, numbers = points
    chosen: list[int] = []
    for start in range(0, len(numbers), BUCKET):
        part = numbers[start : start + BUCKET]
        chosen += sorted({start + part.index(min(part)), start + part.index(max(part))})
    return array("i", [places[index] for index in chosen]), array("d", [numbers[index] for index in chosen])


def pack(points: Points) -> bytes:
    """As bytes: how many (u32), then as zlib data all places (i32) and all numbers (f64), in the machine's order."""
    places, numbers = points
    return _COUNT.pack(len(places)) + isal_zlib.compress(places.tobytes() + numbers.tobytes(), 1)


def unpack(body: bytes) -> Points:
    """The points that were packed."""
    (count,) = _COUNT.unpack_from(body)
    data = isal_zlib.decompress(memoryview(body)[_COUNT.size :])
    size = count * array("i").itemsize
    return array("i", data[:size]), array("d", data[size:])


def _range_of_steps(parts: list[tuple[BatchRef, Batch]]) -> tuple[int, int]:
    """The lowest and the highest step; a row that has none counts with its line number."""
    lowest, highest = math.inf, -math.inf
    for ref, batch in parts:
        places, steps = batch[STEP].points if STEP in batch else (array("i"), array("d"))
        lacking = set(range(ref.count)).difference(places) if len(places) < ref.count else ()
        found = [*steps, *(ref.first + place for place in lacking)] if lacking else steps
        lowest, highest = min(lowest, min(found)), max(highest, max(found))
    return _bounded(lowest), _bounded(highest)


def _bounded(step: float) -> int:
    return int(max(-_FARTHEST, min(step, _FARTHEST)))


def _encoded(facts: dict[str, Facts]) -> str:
    rows = {
        key: (each.types, each.last, each.grows, each.first, each.lowest, each.highest) for key, each in facts.items()
    }
    return json.dumps(rows)
