"""Run directories to pack: recorded ones, with files of several sizes, one of which a link leads out to."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from backhaul.bundle.contents import Contents, contents_of
from backhaul.bundle.packing import Packed, pack
from backhaul.runs.find import find_runs

from ...command import Backhaul, copy_of

# By seed, and not to be compressed: a flipped byte then hits a file nearly always.
_SIZES = {"a.bin": 3_000_000, "b/small.txt": 10, "b/empty": 0, "exact.bin": (1 << 20) - 512, "c.bin": 700_000}


@dataclass(frozen=True)
class Here:
    """A folder with two run directories, and what is needed to pack it."""

    top: Path

    @property
    def state(self) -> Path:
        """A user's state folder."""
        return self.top / "state"

    @property
    def target(self) -> Path:
        """Where bundles are made."""
        return self.top / "out" / "runs.tar.zst"

    def contents(self, *names: str, references: bool = True) -> Contents:
        """What to pack of these folders, of all by default."""
        paths = [self.top / name for name in names or ("work",)]
        found = find_runs(paths, env={}, cwd=self.top)
        return contents_of(found, {}, self.top / "home", references=references)

    def packed(self, split: int | None = None) -> Packed:
        """The bundle of everything."""
        return pack(self.contents(), self.target, self.state, split=split)

    def files(self) -> dict[str, bytes]:
        """What a bundle of everything has to hold, by name."""
        return {name: source.path.read_bytes() for name, source in self.contents().sources.items()}


@pytest.fixture
def here(tmp_path: Path) -> Here:
    """Two runs of real SDKs, the first with added files."""
    run = copy_of("0.31.0", tmp_path / "work")
    copy_of("0.22.3", tmp_path / "work")
    chance = random.Random(7)
    for name, size in _SIZES.items():
        path = run / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(size))
    outside = tmp_path / "outside.bin"
    outside.write_bytes(b"far away")
    (run / "files" / "linked.bin").symlink_to(outside)
    (tmp_path / "out").mkdir()
    return Here(tmp_path)


@pytest.fixture
def backhaul(isolated_env: dict[str, str], tmp_path: Path) -> Backhaul:
    """The command of a user with nothing."""
    return Backhaul(isolated_env, tmp_path)


@pytest.fixture
def below() -> Callable[[Path], dict[str, bytes]]:
    """Every file below a folder by its name there, without what unpacking notes beside them."""

    def files(folder: Path) -> dict[str, bytes]:
        found = (path for path in folder.rglob("*") if path.is_file())
        names = {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
        return {name: content for name, content in names.items() if not name.startswith("backhaul-bundle-")}

    return files
