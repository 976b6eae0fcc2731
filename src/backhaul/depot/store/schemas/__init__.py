"""The tables of each database: what makes each version of them out of the one before; the first starts from nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_LATEST = {"sqlite": 10, "postgresql": 2}


def missing(database: str, version: int) -> Iterator[tuple[int, str]]:
    """What brings tables of that version to the latest: numbers and scripts.

    Raises RuntimeError when the version is newer than this program.
    """
    latest = _LATEST[database]
    if version > latest:
        raise RuntimeError(f"the depot's data is of version {version}; this program knows up to {latest}")
    for number in range(version + 1, latest + 1):
        yield number, (Path(__file__).parent / database / f"{number}.sql").read_text(encoding="utf-8")


def statements(script: str) -> Iterator[str]:
    """The statements of a script, for a database that takes one at a time. No text in a script has a semicolon."""
    bare = "\n".join(line for line in script.splitlines() if not line.lstrip().startswith("--"))
    return (statement for statement in bare.split(";") if statement.strip())
