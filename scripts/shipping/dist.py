"""Wheel and source archive, the same bytes wherever and whenever they are built of the same files."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

SUMS = "SHA256SUMS"


class Built(NamedTuple):
    """What was built."""

    wheel: Path
    sdist: Path


class NotTheSame(Exception):
    """The source archive builds another wheel than the checkout does."""


def build(root: Path, out: Path) -> Built:
    """Build both of the checkout `root` into `out`, with their checksums. Raises NotTheSame."""
    out.mkdir(parents=True, exist_ok=True)
    epoch = epoch_of(root)
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch, "dist")
        _hatchling(root, fresh, epoch, "sdist", "wheel")
        (wheel,), (sdist,) = fresh.glob("*.whl"), fresh.glob("*.tar.gz")
        again = wheel_of_sdist(sdist, Path(scratch, "again"), epoch)
        if again.read_bytes() != wheel.read_bytes():
            raise NotTheSame(f"{sdist.name} builds another {wheel.name} than the checkout does.")
        built = Built(out / wheel.name, out / sdist.name)
        for source, target in zip((wheel, sdist), built, strict=True):
            target.write_bytes(source.read_bytes())
    write_sums(out, built)
    return built


def wheel_of_sdist(sdist: Path, folder: Path, epoch: str) -> Path:
    """The wheel that somebody makes who has the source archive alone; it lies in `folder`."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "source", filter="data")
    (source,) = (folder / "source").iterdir()
    _hatchling(source, folder / "dist", epoch, "wheel")
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


def write_sums(folder: Path, paths: tuple[Path, ...]) -> None:
    """Write the checksums of these files, in the form that `sha256sum --check` reads."""
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in paths]
    (folder / SUMS).write_text("".join(sorted(lines, key=lambda line: line[66:])), encoding="utf-8")


def _hatchling(root: Path, out: Path, epoch: str, *targets: str) -> None:
    chosen = [word for target in targets for word in ("-t", target)]
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out), *chosen]
    subprocess.run(command, cwd=root, env=os.environ | {"SOURCE_DATE_EPOCH": epoch}, check=True, stdout=sys.stderr)


def epoch_of(root: Path) -> str:
    """The time that the archives tell (Unix seconds): what the environment says, else that of the last commit."""
    if "SOURCE_DATE_EPOCH" in os.environ:
        return os.environ["SOURCE_DATE_EPOCH"]
    told = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=root, capture_output=True, text=True, check=False
    ).stdout.strip()
    # 1 February 2020, hatchling's own: of a folder without git no time is known.
    return told or "1580601600"


def main() -> int:
    """The command."""
    built = build(Path.cwd(), Path(sys.argv[1]))
    print("\n".join(map(str, built)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
