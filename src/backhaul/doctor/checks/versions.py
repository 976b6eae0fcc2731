"""Which wandb is installed here, which ones the project asks for, and scripts that use what no longer is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from backhaul.doctor.finding import Finding
from backhaul.doctor.patient import Surroundings

_REQUIREMENTS = ("requirements*.txt", "pyproject.toml", "environment.y*ml", "uv.lock", "poetry.lock", "Pipfile.lock")
_SCRIPTS = ("*.sh", "*.bash", "*.slurm", "*.sbatch", "*.pbs", "Makefile", "scripts/*", "bin/*")
_LARGEST = 4 << 20
_PIN = re.compile(r"""wandb["']?\s*(?:==|=)\s*["']?(\d+\.\d+(?:\.\d+)?)""")
_LOCKED = re.compile(r"""name = "wandb"\s+version = "(\d+\.\d+\.\d+)\"""")
_CALL = re.compile(r"^[^#\n]*\bwandb\s+sync\b[^\n]*", re.MULTILINE)
# What `wandb sync` 0.31 answers with an error, each tried.
_REMOVED = (
    "--sync-all", "--append", "--view", "--include-offline", "--no-include-offline", "--mark-synced",
    "--no-mark-synced", "--include-globs", "--exclude-globs", "--skip-console", "--legacy", "--clean", "--clean-force",
    "--clean-old-hours", "--sync-tensorboard", "--show", "--ignore",
)  # fmt: skip


def check(surroundings: Surroundings) -> Iterator[Finding]:
    """Findings on pins that differ from what is installed, and on calls of `wandb sync` with removed options."""
    installed = _installed()
    for path in _files(surroundings.cwd, _REQUIREMENTS):
        for pin in sorted({*_PIN.findall(text := _text(path)), *_LOCKED.findall(text)}):
            if installed and pin != installed and not installed.startswith(f"{pin}."):
                message = f"The project asks for wandb {pin}, and {installed} is installed here."
                remedy = f"pip install wandb=={pin}, or change the pin"
                yield Finding("sdk-differs", message, f"{path.name}: wandb {pin}", remedy, str(path))
    for path in _files(surroundings.cwd, _SCRIPTS):
        for call in _CALL.findall(_text(path)):
            removed = [option for option in _REMOVED if re.search(rf"{re.escape(option)}\b", call)]
            if removed:
                message = f"A script calls wandb sync with {', '.join(removed)}, which wandb 0.31 no longer has."
                yield Finding("removed-option", message, call.strip(), "backhaul sync PATH in its place", str(path))


def _installed() -> str | None:
    try:
        return version("wandb")
    except PackageNotFoundError:
        return None


def _files(folder: Path, patterns: tuple[str, ...]) -> Iterator[Path]:
    """The files of these patterns in the folder that are not too large to be what they are called."""
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            if path.is_file() and path.stat().st_size <= _LARGEST:
                yield path


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        # Closed to us: then it is not this user's project file.
        return ""
