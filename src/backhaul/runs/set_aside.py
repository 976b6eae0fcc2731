"""What of a log cannot be sent, each with the reason: it is told by name, so that nothing is lost silently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NO_VALUE = "it is not JSON, or nested too deep"

_MOST_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class SetAside:
    """A row or value that cannot be sent, kept with the reason."""

    what: str
    reason: str


def name_of(path: Sequence[str]) -> str:
    """A path of keys as people read it; of one that is long without reason, the beginning."""
    name = ".".join(path[:_MOST_CHARACTERS])
    return name if len(name) <= _MOST_CHARACTERS and len(path) <= _MOST_CHARACTERS else name[:_MOST_CHARACTERS] + "…"
