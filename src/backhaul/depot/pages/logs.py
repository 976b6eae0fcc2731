"""The console of a run, page by page; its end at first."""

from __future__ import annotations

from typing import Any

from backhaul.depot import console
from backhaul.depot.model import OUTPUT
from backhaul.depot.pages import ansi, heading, places
from backhaul.depot.pages.visit import Visit

_PAGE = 1000
_FILE = "output.log"


def view(visit: Visit) -> dict[str, Any]:
    """At most `_PAGE` lines from number `first` on; without it the last ones."""
    run = visit.run()
    end = visit.store.line_counts(run.id).output
    last = max(0, end - _PAGE)
    first = visit.number("first", last, 0, max(0, end))
    stop = min(end, first + _PAGE)
    kept = visit.store.file(run.id, _FILE)
    return heading.of_page(visit, run, "logs") | {
        "first": first,
        "end": stop,
        "total": end,
        "earlier": max(0, first - _PAGE) if first else None,
        "later": stop if stop < end else None,
        "last": last,
        "download": places.of_file(run, _FILE) if kept else None,
        "lines": [_line(number, text) for number, text in visit.store.lines(run.id, OUTPUT, first, stop)],
    }


def _line(number: int, text: str) -> dict[str, Any]:
    parsed = console.parse(number, text)
    return {
        "number": number,
        "level": parsed.level,
        "timestamp": parsed.timestamp,
        "label": parsed.label,
        "parts": [{"text": part, "looks": looks} for part, looks in ansi.parts(parsed.line)],
    }
