"""Where folders of the recording machine lie now: a log names absolute paths, which mean nothing elsewhere.

An unpacked bundle has its own roots: a file `backhaul-bundle-….json` at its top says which folder was where.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from backhaul.errors import UsageError
from backhaul.runs.recorded_path import recorded_path

BUNDLE_NOTE = "backhaul-bundle-"
# The top of a bundle is the folder above the folder of run directories: TOP/wandb/RUN/files.
_TOP_ABOVE_FILES = 2


class Places(Protocol):
    """Where something that was recorded at an absolute path may lie now."""

    def places(self, recorded: Path) -> Iterator[Path]:
        """The places, the likeliest first."""


@dataclass(frozen=True, slots=True)
class Roots:
    """Pairs of a folder as it was called when runs were recorded, and as it is called now.

    `enclosed` says that only these places count: what lies under a recorded path of another machine is not what was
    meant.
    """

    moves: tuple[tuple[Path, Path], ...] = ()
    enclosed: bool = False

    def places(self, recorded: Path) -> Iterator[Path]:
        """Where `recorded` may lie now, by the most specific folder first; its own path last, unless enclosed."""
        for old, new in sorted(self.moves, key=lambda move: len(move[0].parts), reverse=True):
            if recorded.is_relative_to(old):
                yield new / recorded.relative_to(old)
        if not self.enclosed:
            yield recorded

    def __add__(self, other: Roots) -> Roots:
        return Roots((*self.moves, *other.moves), self.enclosed or other.enclosed)


AS_RECORDED = Roots()


def roots_of(texts: Iterable[str]) -> Roots:
    """The roots that a user names, each as `OLD=NEW`. Raises UsageError."""
    moves = []
    for text in texts:
        old, equals, new = text.partition("=")
        if not equals or not new or not recorded_path(old).is_absolute():
            raise UsageError(f"{text!r} is no root; write OLD=NEW, with the absolute folder that was recorded as OLD.")
        moves.append((recorded_path(old), Path(new).absolute()))
    return Roots(tuple(moves))


def roots_of_bundle(files: Path) -> Roots:
    """The roots of the unpacked bundle in which the `files` folder of a run lies; none when it lies in no bundle."""
    parents = files.parents
    if len(parents) <= _TOP_ABOVE_FILES:
        return Roots()
    top = parents[_TOP_ABOVE_FILES]
    moves: list[tuple[Path, Path]] = []
    for note in sorted(top.glob(f"{BUNDLE_NOTE}*.json")):
        moves += _moves(note, top)
    return Roots(tuple(moves), enclosed=bool(moves))


def _moves(note: Path, top: Path) -> Iterator[tuple[Path, Path]]:
    """The pairs that a bundle's note tells; a note that is none of ours tells none."""
    try:
        roots = json.loads(note.read_bytes())["roots"]
        pairs = [(Path(root["was"]), PurePosixPath(root["at"])) for root in roots]
    except (OSError, ValueError, KeyError, TypeError):
        return
    for was, at in pairs:
        if was.is_absolute() and not at.is_absolute() and ".." not in at.parts:
            yield was, top / at
