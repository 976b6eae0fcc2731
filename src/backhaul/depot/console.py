"""Console lines: `[ERROR ]TIME [\\[label\\] ]text`, or a JSON object from clients with structured console logs."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from backhaul.depot import rows

_LINE = re.compile(r"(ERROR )?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z?) (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ConsoleLine:
    """One line of a run's console. `timestamp` is UTC as the client wrote it."""

    number: int
    level: str | None
    timestamp: str | None
    label: str | None
    line: str

    def as_dict(self) -> dict[str, Any]:
        """The line as clients read it."""
        return asdict(self)


def parse(number: int, text: str) -> ConsoleLine:
    """The parts of a stored line; one of another shape is all text."""
    text = text.rstrip("\n")
    if text.startswith("{") and "content" in (found := rows.parse(text)):
        return ConsoleLine(number, found.get("level"), found.get("ts"), found.get("label"), str(found["content"]))
    match = _LINE.fullmatch(text)
    if match is None:
        return ConsoleLine(number, None, None, None, text)
    error, timestamp, line = match.groups()
    return ConsoleLine(number, "error" if error else None, timestamp, None, line)
