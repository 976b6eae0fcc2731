"""Settling the numbers of a fragment's lines, once and for ever, before the first one is sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
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


@dataclass(frozen=True, slots=True)
class Settled:
    """Where a fragment's lines go: `entry` is the ledger's first about it.

    `displaces` says that they go where lines of later fragments are, which have to move up: those were sent first.
    """

    entry: dict[str, Any]
    displaces: bool = False


def settle(
    status: RunStatus | None,
    *,
    structured: bool,
    resumes: bool,
    after: Mapping[Stream, int] | None,
    force: bool,
    lines_of: LinesOf,
    later_lines_of: LinesOf,
) -> Settled:
    """Where the lines of a fragment go at this destination.

    A run that the server does not hold, or holds empty, starts at line 0. When the server's last line is one of ours (a
    ledger that was lost, an official sync that broke off), or of a later fragment here (`later_lines_of`), our lines up
    to it count as acknowledged, and it settles where they begin. When the server begins with a later fragment, ours go
    before it, and it has to be sent anew behind them. Otherwise a run that resumes, or follows a fragment that ends at
    the lines `after`, goes on after what is there, if that is older. Any other run raises RemoteConflict, unless
    `force`.
    """
    held = counts_of(status)
    if status is None or not any(held.values()) or force:
        steps = next_step(status) if status is not None and after is not None else 0
        return Settled(begin_entry(after or no_lines(), no_lines(), steps, structured), displaces=force)
    goes_on = resumes or after is not None
    base, known, steps = no_lines(), no_lines(), 0
    for stream, tail in ((Stream.HISTORY, status.history_tail), (Stream.EVENTS, status.events_tail)):
        if not held[stream]:
            continue
        ours = _find(tail[-1], lines_of(stream), later_lines_of(stream)) if tail else None
        begins_at = 0 if ours is None else held[stream] - ours.number - 1
        room = begins_at - (after[stream] if after is not None else 0)
        if ours is not None and goes_on and room < 0:
            if room == -ours.own or after is not None:
                steps = _step_after(status, after)
                return Settled(begin_entry(after or no_lines(), no_lines(), steps, structured), displaces=True)
            raise RemoteConflict(_conflict(held[stream], stream))
        if ours is not None and (goes_on or ours.number == held[stream] - 1):
            known[stream] = ours.own
            base[stream] = max(0, begins_at)
            steps = max(steps, ours.later_by)
        elif goes_on and not _begins_before(lines_of(stream), tail):
            base[stream] = held[stream]
            steps = max(steps, next_step(status))
        else:
            raise _conflict_told(held[stream], stream, goes_on=goes_on)
    if goes_on:
        base[Stream.OUTPUT] = _console_base(held, base, known, after, lines_of)
    return Settled(begin_entry(base, known, steps, structured))


def overlaps(progress: Progress, after: Mapping[Stream, int] | None) -> bool:
    """Whether a fragment's numbers begin before the one before it ends: then they have to be settled anew."""
    return after is not None and any(progress.base[stream] < after[stream] for stream in NUMBERED)


def _console_base(
    held: Mapping[Stream, int],
    base: Mapping[Stream, int],
    known: Mapping[Stream, int],
    after: Mapping[Stream, int] | None,
    lines_of: LinesOf,
) -> int:
    """Where our console lines begin. The server tells no last console line, so the other streams have to do.

    When they cannot tell, the lines go after what is there: rather twice than over another fragment's lines.
    """
    timed = (Stream.HISTORY, Stream.EVENTS)
    if not any(known.values()):
        return held[Stream.OUTPUT]
    if not any(base[stream] for stream in timed):
        return 0
    if after is not None and all(base[stream] == after[stream] for stream in timed):
        return after[Stream.OUTPUT]
    whole = all(known[stream] == _count(lines_of(stream)) for stream in timed)
    return max(0, held[Stream.OUTPUT] - _count(lines_of(Stream.OUTPUT))) if whole else held[Stream.OUTPUT]


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
    """The server's last line is our line of this `number`, counted on through later fragments.

    `own` lines up to it are this fragment's; its step there is `later_by` higher than in the log.
    """

    number: int
    own: int
    later_by: int = 0


def _find(last: str, own: Iterator[str], later: Iterator[str]) -> _Found | None:
    """Which of our lines is the server's last one: each carries its own time, so one that equals it is it."""
    theirs = plain(json.loads(last))
    step = theirs.pop("_step", 0)
    count = 0
    for line in own:
        count += 1
        ours = plain(json.loads(line))
        our_step = ours.pop("_step", 0)
        if ours == theirs:
            return _Found(count - 1, count, max(0, step - our_step))
    for number, line in enumerate(later, count):
        ours = plain(json.loads(line))
        ours.pop("_step", 0)
        if ours == theirs:
            return _Found(number, count)
    return None


def _begins_before(lines: Iterator[str], tail: list[str]) -> bool:
    """Whether our first line was recorded before the server's last one: then ours do not belong after it."""
    first = next(lines, None)
    if first is None or not tail:
        return False
    times = [json.loads(line).get("_timestamp") for line in (first, tail[-1])]
    return all(isinstance(time, int | float) for time in times) and times[0] < times[1]


def _count(lines: Iterator[str]) -> int:
    return sum(1 for _ in lines)


def _step_after(status: RunStatus, after: Mapping[Stream, int] | None) -> int:
    """The first step after an earlier fragment, when the newest rows there are not its: some may be passed over."""
    return 0 if after is None else max(after[Stream.HISTORY] - 1, _step_in(status.summary)) + 1


def _conflict_told(count: int, stream: Stream, *, goes_on: bool) -> RemoteConflict:
    if not goes_on:
        return RemoteConflict(_conflict(count, stream))
    return RemoteConflict(
        f"The destination already holds {count} lines of {stream} of this run, and they are newer than this part's.",
        next="Give this part and the later ones in one command, so that they are put in order; or send it under a new "
        "id with `--id NEW`.",
    )


def _conflict(count: int, stream: Stream) -> str:
    return f"The destination already holds {count} lines of {stream} under this run id, and they are not this log's."


def _step_in(text: str) -> int:
    try:
        step = json.loads(text).get("_step")
    except (ValueError, AttributeError):
        return -1
    return step if isinstance(step, int) else -1
