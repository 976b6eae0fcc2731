"""What is said of the progress of a sync."""

from __future__ import annotations

from backhaul.cli.render import duration, size
from backhaul.counted import counted
from backhaul.sync.event import Event, EventKind
from backhaul.sync.tally import Course, Tally

# When nothing was told of a run for so many seconds, that is said.
_SILENT = 5.0
_IN_WORDS = {
    EventKind.STARTED: "asking what is there",
    EventKind.FOLLOWING: "all sent; following the log",
    EventKind.VERIFYING: "reading back",
}


def overall(tally: Tally) -> str:
    """How far all runs are together."""
    return ", ".join([f"{tally.over} of {counted(len(tally.courses), 'run')} done", *_figures(tally.whole)])


def doing(event: Event, course: Course, now: float) -> str:
    """What one run does at the moment `now`, and how far it is."""
    silent = now - course.heard
    if event.kind is EventKind.WAITING:
        return waiting(event, now)
    words = _IN_WORDS.get(event.kind)
    if event.kind is EventKind.FILE:
        words = f"uploaded {event.name}"
    parts = [words] if words else []
    if event.kind in (EventKind.LINES, EventKind.FILE):
        parts = [*_figures(course), *parts]
    if event.kind is EventKind.FOLLOWING:
        parts.append(f"nothing new for {duration(now - (event.since or event.at))}")
    elif silent > _SILENT:
        parts.insert(0, f"nothing acknowledged for {duration(silent)}")
    return ", ".join(parts)


def waiting(event: Event, now: float) -> str:
    """Why a run does not get on, and for how long it has not."""
    reason = event.error.message if event.error is not None else ""
    return f"failing for {duration(now - (event.since or event.at))}, trying again: {reason}"


def _figures(course: Course) -> list[str]:
    """What counts most first: a narrow terminal cuts the end off."""
    parts = [f"{course.share:.0%}"]
    if course.seconds_left is not None:
        parts.append(f"{duration(course.seconds_left)} left")
    parts += [counted(course.lines, "line"), size(course.size)]
    return [*parts, f"{size(course.rate)}/s"] if course.rate is not None else parts
