"""Is there room for the runs that are being recorded, for ledgers and receipts, and for wandb's own copies?"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from backhaul.counted import counted
from backhaul.doctor.finding import Finding
from backhaul.doctor.patient import Surroundings
from backhaul.doctor.quota import quotas_of
from backhaul.doctor.remedy import command
from backhaul.doctor.room import room_of
from backhaul.runs.directory import RunDirectory

_LARGE, _MANY = 1 << 30, 100_000
# A cache of millions of files is large, whatever the rest of it holds.
_MOST_COUNTED = 200_000
_STAGING = "staging"
# What fills up within a day is told today.
_SOON = 24 * 3600.0


def check(surroundings: Surroundings) -> Iterator[Finding]:
    """Findings on file systems and quotas that are full or will be, and on large caches and staging folders."""
    seen: set[int] = set()
    for folder in (*surroundings.folders, *_kept(surroundings)):
        if folder.is_dir() and (device := folder.stat().st_dev) not in seen:
            seen.add(device)
            yield from _room(folder, surroundings.full_from)
            yield from _quota(folder, surroundings)
            yield from _forecast(folder, [run for run in surroundings.recording if _device(run.path) == device])
    for folder in _kept(surroundings):
        size, files = _sizes(folder)
        if size >= _LARGE or files >= _MANY:
            more = " or more" if files >= _MOST_COUNTED else ""
            message = f"wandb keeps {_gigabytes(size)}{more} in {files} files here{_whose(folder)}"
            evidence = f"{folder}: {files} files, {size} bytes{more}"
            yield Finding("large-cache", message, evidence, _remedy(folder), str(folder))


def _room(folder: Path, full_from: float) -> Iterator[Finding]:
    room = room_of(folder)
    if room.used >= full_from:
        message = f"The file system is {room.used:.0%} full; {_gigabytes(room.free)} are free."
        yield _filling(folder, message, f"statvfs {folder}: {room.blocks_free} free blocks")
    if room.inodes_used >= full_from:
        message = (
            f"{room.inodes_used:.0%} of the file system's inodes are used; {room.inodes_free} files more can be made."
        )
        yield _filling(folder, message, f"statvfs {folder}: {room.inodes_free} free inodes")


def _filling(folder: Path, message: str, evidence: str) -> Finding:
    remedy = command("backhaul", "clean", "--dry-run", folder)
    return Finding("disk-filling", message, evidence, remedy, str(folder))


def _quota(folder: Path, surroundings: Surroundings) -> Iterator[Finding]:
    for quota in quotas_of(folder, surroundings.env):
        if quota.share >= surroundings.full_from:
            message = f"Your quota of {quota.what} is used to {quota.share:.0%}; at 100 % nothing more can be written."
            yield _filling(folder, message, quota.line)


def _forecast(folder: Path, recording: list[RunDirectory]) -> Iterator[Finding]:
    """When what is being recorded here will have filled the file system, at its pace since it began."""
    pace = sum(_pace(run) for run in recording)
    free = room_of(folder).free
    if pace <= 0 or free / pace > _SOON:
        return
    message = f"At the pace of what is being recorded here the file system is full in {free / pace / 3600:.1f} hours."
    growth = f"{pace * 3600 / (1 << 20):.1f} MiB an hour by {counted(len(recording), 'run')}"
    evidence = f"{growth}; {_gigabytes(free)} are free at {folder}"
    yield _filling(folder, message, evidence)


def _pace(run: RunDirectory) -> float:
    """Bytes a second since the run directory's oldest file was last written: its first, as a rule."""
    changed = [path.lstat().st_mtime for path in (run.path / "logs", run.files, run.log) if path.exists()]
    changed += [path.lstat().st_mtime for path in run.files.glob("requirements.txt")]
    seconds = time.time() - min(changed, default=time.time())
    return _sizes(run.path)[0] / seconds if seconds >= 1 else 0.0


def _device(path: Path) -> int | None:
    try:
        return path.stat().st_dev
    except OSError:
        # It was moved away while we looked.
        return None


def _kept(surroundings: Surroundings) -> tuple[Path, Path]:
    """wandb's folder of artifact contents that wait for upload, and its artifact cache."""
    env, home = surroundings.env, surroundings.home
    data = Path(env["WANDB_DATA_DIR"]) if env.get("WANDB_DATA_DIR") else home / ".local" / "share" / "wandb"
    cache = Path(env["WANDB_CACHE_DIR"]) if env.get("WANDB_CACHE_DIR") else home / ".cache" / "wandb"
    return data / "artifacts" / _STAGING, cache / "artifacts"


def _sizes(folder: Path) -> tuple[int, int]:
    size = files = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                size += Path(where, name).lstat().st_size
                files += 1
            except OSError:
                # wandb may take it away while we count.
                continue
        if files >= _MOST_COUNTED:
            break
    return size, files


def _whose(folder: Path) -> str:
    if folder.name == _STAGING:
        return ", from which a sync takes the artifacts of runs that are not home yet."
    return "; it can have all of it again from the server, but for artifacts that are not home yet."


def _remedy(folder: Path) -> str:
    return "backhaul sync, then empty it" if folder.name == _STAGING else "wandb artifact cache cleanup 1GB"


def _gigabytes(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB"
