"""Where what was recorded at some path may lie now: folders are moved, copied, and mounted elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backhaul.runs.roots import AS_RECORDED, Roots, roots_of_bundle

# How far above a run directory its tree is looked for.
_MOST_FOLDERS = 12


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Looks around one run directory, at `near`, and under `roots`."""

    near: Path
    roots: Roots = AS_RECORDED

    def places(self, recorded: Path) -> Iterator[Path]:
        """The places at which it is without a look at its content.

        These are the path itself, by its roots, and the same in a tree that was moved with the run: a folder above the
        run directory that has kept its name stands for the recorded one of this name.
        """
        yield from self.roots.places(recorded)
        if self.roots.enclosed or not recorded.is_absolute():
            return
        for folder in self._folders():
            for place, name in enumerate(recorded.parts[1:-1], start=1):
                if name == folder.name:
                    yield folder.joinpath(*recorded.parts[place + 1 :])

    def possible(self, recorded: Path) -> Iterator[Path]:
        """Further places, for what can be told by its content: each end of the path under new roots and above the run.

        The SDK records some paths as the script gave them, relative to the folder in which that ran.
        """
        if self.roots.enclosed:
            return
        parts = recorded.parts[1:] if recorded.is_absolute() else recorded.parts
        for folder in (*(new for _, new in self.roots.moves), *self._folders()):
            yield from (folder.joinpath(*parts[place:]) for place in range(len(parts)))

    def _folders(self) -> list[Path]:
        # The topmost one is the file system's own: under it the recorded path is just itself.
        return [folder for folder in self.near.absolute().parents if folder.name][:_MOST_FOLDERS]


def whereabouts_of(files: Path, roots: Roots = AS_RECORDED) -> Whereabouts:
    """Where to look for what belongs to the run whose files lie in `files`: also in the bundle in which it lies."""
    return Whereabouts(files.parent, roots + roots_of_bundle(files))
