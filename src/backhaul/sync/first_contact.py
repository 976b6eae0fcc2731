"""Settling the numbers of a fragment's lines, once and for ever, before the first one is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backhaul.errors import RemoteConflict
from backhaul.runs.stream import NUMBERED, Stream
from backhaul.sync.console_tail import begin_of
from backhaul.sync.progress import Progress, begin_entry, no_lines
from backhaul.sync.row import is_newer, is_same, members_of, step_of
from backhaul.wire.remote import ConsoleTail, RunStatus

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
    console: ConsoleTail | None = None,
) -> Settled:
    """Where the lines of a fragment go at this destination.

    A run that the server does not hold, or holds empty, starts at line 0. When the server's last line is one of ours (a
    ledger that was lost, an official sync that broke off), or of a later fragment here (`later_lines_of`), our lines up
    to it count as acknowledged, and it settles where they begin. When the server begins with a later fragment, ours go
    before it, and it has to be sent anew behind them. Otherwise a run that resumes, or follows a fragment that ends at
    the lines `after`, goes on after what is there, if that is older. Any other run raises RemoteConflict, unless
    `force`. `console` is the end of the console there, if it is known.
    """
    held = counts_of(status)
    if status is None or not any(held.values()) or force:
        steps = next_step(status) if status is not None and after is not None else 0
        return Settled(begin_entry(after or no_lines(), no_lines(), steps, structured), displaces=force)
    goes_on = resumes or after is not None
    base, known, steps = no_lines(), no_lines(), next_step(status) if goes_on else 0
    for stream, tail in ((Stream.HISTORY, status.history_tail), (Stream.EVENTS, status.events_tail)):
        if not held[stream]:
            continue
        ours = _find(tail[-1], lines_of(stream), later_lines_of(stream)) if tail else None
        begins_at = 0 if ours is None else held[stream] - ours.number - 1
        room = begins_at - (after[stream] if after is not None else 0)
        if ours is not None and room < 0 and (goes_on or ours.is_later):
            if room == -ours.own or after is not None:
                steps = _step_after(status, after)
                return Settled(begin_entry(after or no_lines(), no_lines(), steps, structured), displaces=True)
            raise RemoteConflict(_conflict(held[stream], stream))
        if ours is not None and (goes_on or ours.number == held[stream] - 1):
            known[stream] = ours.own
            base[stream] = max(0, begins_at)
            steps = ours.steps_from if stream is Stream.HISTORY else steps
        elif goes_on and not (tail and is_newer(tail[-1], next(lines_of(stream), ""))):
            base[stream] = held[stream]
        else:
            raise _conflict_told(held[stream], stream, goes_on=goes_on)
    if goes_on:
        least = 0 if after is None else after[Stream.OUTPUT]
        told = begin_of(lines_of(Stream.OUTPUT), console, least) if console is not None else None
        base[Stream.OUTPUT] = _console_base(held, base, known, after, lines_of) if told is None else told
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
    """Where our console lines begin, by the other streams, where the console's own end does not tell.

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
    steps = [status.history_lines - 1, step_of(status.summary)]
    steps += [step_of(line) for line in status.history_tail[-1:]]
    return max(steps) + 1


@dataclass(frozen=True, slots=True)
class _Found:
    """The server's last line is our line of this `number`, counted on through later fragments.

    `own` lines up to it are this fragment's; `steps_from` is the starting step that gives it the step it has there.
    """

    number: int
    own: int
    steps_from: int = 0

    @property
    def is_later(self) -> bool:
        """Whether the line is a later fragment's."""
        return self.number >= self.own


def _find(last: str, own: Iterator[str], later: Iterator[str]) -> _Found | None:
    """Which of our lines is the server's last one: each carries its own time, so one that equals it is it."""
    theirs = members_of(last)
    step = theirs.pop("_step", None)
    count = 0
    for line in own:
        ours = members_of(line)
        our_step = ours.pop("_step", None)
        if is_same(ours, theirs):
            # A row whose step was raised is one of those that count on from the starting step.
            is_raised = isinstance(step, int) and isinstance(our_step, int) and step > our_step
            return _Found(count, count + 1, step - count if is_raised else 0)
        count += 1
    for number, line in enumerate(later, count):
        ours = members_of(line)
        ours.pop("_step", None)
        if is_same(ours, theirs):
            return _Found(number, count)
    return None


def _count(lines: Iterator[str]) -> int:
    return sum(1 for _ in lines)


def _step_after(status: RunStatus, after: Mapping[Stream, int] | None) -> int:
    """The first step after an earlier fragment, when the newest rows there are not its: some may be passed over."""
    return 0 if after is None else max(after[Stream.HISTORY] - 1, step_of(status.summary)) + 1


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
