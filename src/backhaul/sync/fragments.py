"""Several directories of one run id are one run; several copies of one recording are one part of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from backhaul.runs.inspect import Inspection
from backhaul.runs.stream import Stream
from backhaul.sync.destination import Destination


@dataclass(slots=True)
class Chain:
    """The fragments of one run in the order of their recording, copies of one the longest first.

    Each begins where the one before it ends; a copy begins where its original does.
    """

    fragments: Sequence[Inspection]
    _begin: Mapping[Stream, int] | None = field(default=None)
    _end: Mapping[Stream, int] | None = field(default=None)

    def begin_of(self, index: int) -> Mapping[Stream, int] | None:
        """Where that fragment begins at the destination, once `ended` was told of all before it; None: at line 0."""
        if not index or not _are_copies(self.fragments[index], self.fragments[index - 1]):
            self._begin, self._end = self._end, None
        return self._begin

    def after(self, index: int) -> list[Inspection]:
        """The fragments that were recorded after it."""
        return [other for other in self.fragments[index + 1 :] if not _are_copies(other, self.fragments[index])]

    def ended(self, end: Mapping[Stream, int]) -> None:
        """The fragment ends there; of copies the longest counts."""
        known = self._end
        self._end = end if known is None else {stream: max(count, end[stream]) for stream, count in known.items()}


def fragments_by_run(runs: Sequence[Inspection], destination: Destination) -> list[Chain]:
    """The fragments of each run, as it is called at the destination."""
    groups: dict[str, list[Inspection]] = {}
    for run in runs:
        groups.setdefault(destination.key(run.identity), []).append(run)
    return [Chain(sorted(group, key=lambda run: (run.identity.start_time, -run.size))) for group in groups.values()]


def _are_copies(one: Inspection, other: Inspection) -> bool:
    """Whether both are the same recording, by the moment at which it began; unknown moments tell nothing."""
    return one.identity.start_time == other.identity.start_time != 0
