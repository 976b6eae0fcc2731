"""Several directories of one run id are one run."""

from __future__ import annotations

from collections.abc import Sequence

from backhaul.runs.inspect import Inspection
from backhaul.sync.destination import Destination


def fragments_by_run(runs: Sequence[Inspection], destination: Destination) -> list[list[Inspection]]:
    """The fragments of each run, as it is called at the destination, in the order in which they were recorded."""
    groups: dict[str, list[Inspection]] = {}
    for run in runs:
        groups.setdefault(destination.key(run.identity), []).append(run)
    return [sorted(group, key=lambda run: run.identity.start_time) for group in groups.values()]
