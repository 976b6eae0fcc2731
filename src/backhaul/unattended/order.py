"""What the wrapper asks of the process that brings runs home, and of the one that looks out."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Self

from backhaul.sync.target import Target


@dataclass(frozen=True, slots=True)
class Order:
    """Bring home the runs of a job that began at `since` (Unix seconds).

    `seen` are logs that its processes had open, `roots` the folders in which it worked. After `deadline` seconds the
    rest stays in the queue. `live` follows runs that are still being recorded. Without `sync` all of it stays there.
    """

    roots: tuple[str, ...]
    seen: tuple[str, ...]
    since: float
    deadline: float
    sync: bool = True
    live: bool = False
    target: Target = field(default_factory=Target)

    def command(self) -> list[str]:
        """The command line that carries it out."""
        return program("backhaul.unattended.bring_home", json.dumps(asdict(self)))

    @classmethod
    def of(cls, text: str) -> Self:
        """From what stands in the command line."""
        words = json.loads(text)
        target = Target(**words.pop("target"))
        return cls(tuple(words.pop("roots")), tuple(words.pop("seen")), target=target, **words)


def program(module: str, *arguments: str) -> list[str]:
    """The command line of one of our own programs: with our Python, and without the current folder on its path.

    A project may have a `json.py` or `queue.py` of its own.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def clean_command(roots: Sequence[str], to: str | None, entity: str | None, project: str | None) -> list[str]:
    """The command line that deletes verified runs, and only those, under `roots`."""
    asked = {"--to": to, "--entity": entity, "--project": project}
    options = [word for option, value in asked.items() if value for word in (option, value)]
    return program("backhaul", "clean", *roots, "--yes", "--json", *options)
