"""What is sent in the place of a line that a server refuses: its time and number, without its content.

A line has one number for ever. Were the refused one left out, every line after it would move up, and the row could
never again be put where it belongs; were its number left empty, servers would close the gap. So a line without content
keeps the place, and a later sync writes the true one over it.
"""

from __future__ import annotations

import json
from typing import Any

from backhaul.runs.stream import Stream

_KEPT = ("_wandb", "_step", "_runtime", "_timestamp")


def stand_in(stream: Stream, line: str) -> str:
    """The line that keeps the place of `line`, which is one of history, events or console."""
    if stream is Stream.OUTPUT and not _is_structured(line):
        return " ".join(line.split(" ")[: 2 if line.startswith("ERROR ") else 1]) + " "
    content = _members(line)
    kept = (*_KEPT, "level", "ts")
    places: dict[str, Any] = {key: content[key] for key in kept if key in content}
    if stream is Stream.OUTPUT:
        places["content"] = ""
    return json.dumps(places, separators=(",", ":"))


def name_of(stream: Stream, number: int, line: str) -> str:
    """What a person calls the line of the fragment's `number`."""
    if stream is Stream.HISTORY:
        return f"history row of step {_members(line).get('_step', '?')}"
    kind = "console line" if stream is Stream.OUTPUT else "system metrics row"
    return f"{kind} {number}"


def _is_structured(line: str) -> bool:
    return line.startswith("{")


def _members(line: str) -> dict[str, Any]:
    content = json.loads(line)
    return content if isinstance(content, dict) else {}
