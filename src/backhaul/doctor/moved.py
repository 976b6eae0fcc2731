"""Files whose links lead nowhere because everything was copied to another place: where they lie now."""

from __future__ import annotations

from pathlib import Path

from backhaul.runs.sight import file_size

# With its folder's name at least: a file's own name alone is no sign that it is the same one.
_FEWEST_PARTS = 2


def found_again(target: Path, near: Path) -> Path | None:
    """The file that `target` probably is by now: the longest end of its path, below the nearest folder above `near`.

    `/cluster/ada/cifar/out/model.pt` is looked for as `cifar/out/model.pt` and `out/model.pt` below each of them; as
    `model.pt` in the nearest only.
    """
    parts = target.parts[1:] if target.is_absolute() else target.parts
    above = list(near.parents)
    for folder in above:
        for first in range(len(parts)):
            fewest = 1 if folder == above[0] else _FEWEST_PARTS
            if len(parts) - first >= fewest and file_size(candidate := folder.joinpath(*parts[first:])) is not None:
                return candidate
    return None
