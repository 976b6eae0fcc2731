"""Settling the numbers of a fragment's lines, once and for ever, before the first one is sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from backhaul.errors import RemoteConflict
from backhaul.runs.rows import NUMBERED, Stream
from backhaul.sync.progress import Progress, begin_entry, no_lines
from backhaul.sync.verify import plain
from backhaul.wire.remote import RunStatus

# The fragment's history line of this number, or None when it has no such line.
LineAt = Callable[[Stream, int], str | None]


@dataclass(frozen=True, slots=True)
class Continues:
    """The fragment goes on where others of the same run ended; `lines` are those on the server before it."""

    lines: Mapping[Stream, int]


def counts_of(status: RunStatus | None) -> dict[Stream, int]:
    """Lines per stream that the server holds."""
    if status is None:
        return no_lines()
    return {
        Stream.HISTORY: status.history_lines,
        Stream.EVENTS: status.events_lines,
        Stream.OUTPUT: status.output_lines,
    }


def settle(
    status: RunStatus | None,
    *,
    structured: bool,
    resumes: bool,
    continues: bool,
    force: bool,
    line_at: LineAt,
) -> dict[str, Any]:
    """The ledger's first entry for a fragment: where its lines go at this destination.

    A run that the server does not hold, or holds empty, starts at line 0. One that resumes, or continues fragments that
    we delivered (`continues`), goes on after what is there. Otherwise what is there must be this log's own beginning
    (an official sync that broke off, for example): its lines then count as acknowledged. Raises RemoteConflict when it
    is something else, unless `force`.
    """
    held = counts_of(status)
    if status is None or not any(held.values()):
        return begin_entry(no_lines(), no_lines(), 0, structured)
    if resumes or continues:
        return begin_entry(held, no_lines(), next_step(status), structured)
    if force:
        return begin_entry(no_lines(), no_lines(), 0, structured)
    known = no_lines() | {
        Stream.HISTORY: _own(Stream.HISTORY, held, status.history_tail, line_at),
        Stream.EVENTS: _own(Stream.EVENTS, held, status.events_tail, line_at),
    }
    return begin_entry(no_lines(), known, 0, structured)


def still_held(progress: Progress, status: RunStatus | None) -> dict[Stream, int]:
    """The fragment's acknowledged lines that the server still holds: a restored or lossy server may hold fewer."""
    held = counts_of(status)
    return {stream: min(progress.lines[stream], max(0, held[stream] - progress.base[stream])) for stream in NUMBERED}


def next_step(status: RunStatus) -> int:
    """The first step for rows that go on after what the server holds (as the SDK's own resume computes it)."""
    steps = [status.history_lines - 1, _step_in(status.summary)]
    steps += [_step_in(line) for line in status.history_tail[-1:]]
    return max(steps) + 1


def _own(stream: Stream, held: Mapping[Stream, int], tail: list[str], line_at: LineAt) -> int:
    """How many of the server's lines are ours: all of them, told by the last one, which carries its own time."""
    count = held[stream]
    if not count or not tail:
        return 0
    ours = line_at(stream, count - 1)
    if ours is not None and plain(json.loads(ours)) == plain(json.loads(tail[-1])):
        return count
    what = "more lines than the log" if ours is None else "other lines than the log"
    raise RemoteConflict(f"The destination already holds {count} lines of {stream} under this run id: {what} has.")


def _step_in(text: str) -> int:
    try:
        step = json.loads(text).get("_step")
    except (ValueError, AttributeError):
        return -1
    return step if isinstance(step, int) else -1
