"""Settling the numbers of a fragment's lines, once and for ever, before the first one is sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from backhaul.errors import RemoteConflict
from backhaul.runs.rows import NUMBERED, Stream
from backhaul.sync.progress import Progress, begin_entry, no_lines
from backhaul.sync.verify import plain
from backhaul.wire.remote import RunStatus

# The lines that the fragment has in a stream, from its first on, as if it started at step 0.
LinesOf = Callable[[Stream], Iterator[str]]


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
    lines_of: LinesOf,
) -> dict[str, Any]:
    """The ledger's first entry for a fragment: where its lines go at this destination.

    A run that the server does not hold, or holds empty, starts at line 0. When the server's last line is one of ours (a
    ledger that was lost, an official sync that broke off), our lines up to it count as acknowledged, and it settles
    where they begin. Otherwise a run that resumes, or continues fragments that we delivered (`continues`), goes on
    after what is there; for any other run this raises RemoteConflict, unless `force`.
    """
    held = counts_of(status)
    if status is None or not any(held.values()) or force:
        return begin_entry(no_lines(), no_lines(), 0, structured)
    goes_on = resumes or continues
    base, known, steps = no_lines(), no_lines(), 0
    for stream, tail in ((Stream.HISTORY, status.history_tail), (Stream.EVENTS, status.events_tail)):
        if not held[stream]:
            continue
        ours = _find(tail[-1], lines_of(stream)) if tail else None
        if ours is not None and (goes_on or ours.number == held[stream] - 1):
            known[stream] = ours.number + 1
            base[stream] = held[stream] - known[stream]
            steps = max(steps, ours.later_by)
        elif goes_on:
            base[stream] = held[stream]
            steps = max(steps, next_step(status))
        else:
            raise RemoteConflict(_conflict(held[stream], stream))
    if goes_on and not known[Stream.HISTORY] and not known[Stream.EVENTS]:
        base[Stream.OUTPUT] = held[Stream.OUTPUT]
    return begin_entry(base, known, steps, structured)


def still_held(progress: Progress, status: RunStatus | None) -> dict[Stream, int]:
    """The fragment's acknowledged lines that the server still holds: a restored or lossy server may hold fewer."""
    held = counts_of(status)
    return {stream: min(progress.lines[stream], max(0, held[stream] - progress.base[stream])) for stream in NUMBERED}


def next_step(status: RunStatus) -> int:
    """The first step for rows that go on after what the server holds (as the SDK's own resume computes it)."""
    steps = [status.history_lines - 1, _step_in(status.summary)]
    steps += [_step_in(line) for line in status.history_tail[-1:]]
    return max(steps) + 1


@dataclass(frozen=True, slots=True)
class _Found:
    """Our line of this number is the server's last; its step there is `later_by` higher than in the log."""

    number: int
    later_by: int


def _find(last: str, lines: Iterator[str]) -> _Found | None:
    """Which of our lines is the server's last one: each carries its own time, so one that equals it is it."""
    theirs = plain(json.loads(last))
    step = theirs.pop("_step", 0)
    for number, line in enumerate(lines):
        ours = plain(json.loads(line))
        our_step = ours.pop("_step", 0)
        if ours == theirs:
            return _Found(number, max(0, step - our_step))
    return None


def _conflict(count: int, stream: Stream) -> str:
    return f"The destination already holds {count} lines of {stream} under this run id, and they are not this log's."


def _step_in(text: str) -> int:
    try:
        step = json.loads(text).get("_step")
    except (ValueError, AttributeError):
        return -1
    return step if isinstance(step, int) else -1
