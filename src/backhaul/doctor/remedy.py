"""Remedies as commands that work when they are typed, whatever characters a path has."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

# A path as `command` writes it: bare, or in quotes for its blanks.
PATH = re.compile(r"(?<!\S)(?:'/[^']*'|/\S+)")


def command(*words: str | Path) -> str:
    """The words as one line for a shell."""
    return shlex.join(map(str, words))


def sync(*words: str | Path) -> str:
    """`backhaul sync` with these options and paths."""
    return command("backhaul", "sync", *words)
