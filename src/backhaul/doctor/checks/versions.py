"""Which wandb is installed here, which ones the project asks for, and scripts that use what no longer is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from backhaul.doctor.checks.log import LOSSY
from backhaul.doctor.finding import Finding
from backhaul.doctor.installed import Installed, installed_wandb
from backhaul.doctor.patient import Surroundings
from backhaul.doctor.remedy import command, sync
from backhaul.errors import BackhaulError
from backhaul.runs.directory import RunDirectory
from backhaul.runs.inspect import inspect

_REQUIREMENTS = ("requirements*.txt", "pyproject.toml", "environment.y*ml", "uv.lock", "poetry.lock", "Pipfile.lock")
_SCRIPTS = ("*.sh", "*.bash", "*.slurm", "*.sbatch", "*.pbs", "Makefile", "scripts/*", "bin/*", "*.py")
_LARGEST = 4 << 20
_PIN = re.compile(r"""(?<![\w-])wandb(?:\[[^]]*\])?["']?\s*(?:===?|=)\s*["']?(?:==)?(\d+\.\d+(?:\.\d+)?)""")
_IN_JSON = re.compile(r""""wandb":\s*\{[^}]*?"version":\s*"==(\d+\.\d+(?:\.\d+)?)\"""")
_LOCKED = re.compile(r"""name = "wandb"\s+version = "(\d+\.\d+\.\d+)\"""")
_CALL = re.compile(r"""^[^#\n]*\bwandb["',\s]+sync\b[^\n]*""", re.MULTILINE)
# What `wandb sync` 0.31 answers with an error, each tried.
_REMOVED = (
    "--sync-all", "--append", "--view", "--include-offline", "--no-include-offline", "--mark-synced",
    "--no-mark-synced", "--include-globs", "--exclude-globs", "--skip-console", "--legacy", "--clean", "--clean-force",
    "--clean-old-hours", "--sync-tensorboard", "--show", "--ignore",
)  # fmt: skip


def check(surroundings: Surroundings) -> Iterator[Finding]:
    """Findings on releases that lose data or cannot read the runs, on pins that differ from what is installed, and on
    calls of `wandb sync` with removed options.
    """
    installed = installed_wandb(surroundings.env)
    if installed is not None:
        yield from _of_installed(installed, surroundings.writers)
        yield from _pins(installed, surroundings.cwd)
    yield from _online_runs(surroundings.folders)
    yield from _scripts(surroundings.cwd)


def _of_installed(installed: Installed, writers: frozenset[str]) -> Iterator[Finding]:
    """What the installed one would do to these runs."""
    seen = f"{installed.where}: wandb {installed.release}"
    if installed.release == LOSSY:
        message = "The wandb that is installed here, 0.24.0, drops data while it uploads."
        yield Finding("lossy-sdk", message, seen, "pip install --upgrade wandb")
    newer = sorted(writer for writer in writers if _numbers(writer) > _numbers(installed.release))
    if newer:
        message = f"Runs were written by wandb {', '.join(newer)}, which the older one that is installed may not read."
        evidence = f"{seen}; the logs name {', '.join(newer)}"
        yield Finding("sdk-differs", message, evidence, command("pip", "install", f"wandb=={newer[-1]}"))


def _pins(installed: Installed, folder: Path) -> Iterator[Finding]:
    for path in _files(folder, _REQUIREMENTS):
        for line, pin in _pinned(_text(path)):
            if pin != installed.release and not installed.release.startswith(f"{pin}."):
                message = f"The project asks for wandb {pin}, and {installed.release} is installed here."
                evidence = f"{path}: {line}; {installed.where}: wandb {installed.release}"
                yield Finding("sdk-differs", message, evidence, command("pip", "install", f"wandb=={pin}"), str(path))


def _pinned(text: str) -> list[tuple[str, str]]:
    """Each pin with the line that has it."""
    found = {match[1]: match[0] for pattern in (_PIN, _LOCKED, _IN_JSON) for match in pattern.finditer(text)}
    return [(" ".join(line.split()), pin) for pin, line in sorted(found.items())]


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", release)[:3])


def _online_runs(folders: tuple[Path, ...]) -> Iterator[Finding]:
    """Online runs are not among those that wait to be sent; those of 0.24.0 have to be looked at all the same."""
    for folder in folders:
        for log in sorted(folder.glob("run-*/*.wandb")):
            run = RunDirectory(log.parent, log)
            try:
                # The header names the commit as well: 0.24.0+87b0e595
                lossy = inspect(run).producer.partition("+")[0] == LOSSY
            except BackhaulError:
                continue
            if lossy:
                message = "wandb 0.24.0 may have dropped data while it uploaded this online run; the log still has it."
                evidence = f"{log}: written by wandb {LOSSY}"
                yield Finding("lossy-sdk", message, evidence, sync(run.path), str(log))


def _scripts(folder: Path) -> Iterator[Finding]:
    for path in _files(folder, _SCRIPTS):
        for call in _CALL.findall(_joined(_text(path))):
            removed = [option for option in _REMOVED if re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", call)]
            if removed:
                message = f"A script calls wandb sync with {', '.join(removed)}, which wandb 0.31 no longer has."
                evidence = f"{path}: {' '.join(call.split())}"
                yield Finding("removed-option", message, evidence, _instead(call), str(path))


def _joined(text: str) -> str:
    """The text with its continued lines in one."""
    return text.replace("\\\n", " ")


def _instead(call: str) -> str:
    """The same call, of ours: the paths that it has, and none of its options."""
    words = call.partition("wandb")[2].split("sync", 1)[-1].split()
    paths = [word for word in words if "/" in word or "*" in word or word.startswith("$") or word.endswith(".wandb")]
    return " ".join(["backhaul", "sync", *paths])


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
