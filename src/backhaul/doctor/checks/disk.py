"""Is there room for the runs that are being recorded, for ledgers and receipts, and for wandb's own copies?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from backhaul.doctor.finding import Finding
from backhaul.doctor.patient import Surroundings

_FULL_FROM = 0.80
_LARGE = 1 << 30


def check(surroundings: Surroundings) -> Iterator[Finding]:
    """Findings on full file systems (space and inodes) and on large caches and staging folders of wandb."""
    seen: set[int] = set()
    for folder in (*surroundings.folders, *_kept(surroundings)):
        if folder.is_dir() and (device := folder.stat().st_dev) not in seen:
            seen.add(device)
            yield from _room(folder)
    for folder in _kept(surroundings):
        size, files = _sizes(folder)
        if size >= _LARGE:
            message = f"wandb keeps {_gigabytes(size)} here; artifacts of runs that are not home yet may be among it."
            evidence = f"{files} files, {size} bytes"
            yield Finding("large-cache", message, evidence, _remedy(folder), str(folder))


def _room(folder: Path) -> Iterator[Finding]:
    status = os.statvfs(folder)
    # As `df` counts it: what is reserved for root is not there for us.
    space = _share(status.f_blocks - status.f_bfree, status.f_bavail)
    if space >= _FULL_FROM:
        free = _gigabytes(status.f_bavail * status.f_frsize)
        message = f"The file system is {space:.0%} full; {free} are free."
        yield Finding(
            "disk-filling", message, f"statvfs {folder}: {status.f_bavail} free blocks", _MAKE_ROOM, str(folder)
        )
    inodes = _share(status.f_files - status.f_ffree, status.f_favail)
    if inodes >= _FULL_FROM:
        message = f"{inodes:.0%} of the file system's inodes are used; {status.f_favail} files more can be made."
        yield Finding(
            "disk-filling", message, f"statvfs {folder}: {status.f_favail} free inodes", _MAKE_ROOM, str(folder)
        )


_MAKE_ROOM = "make room; runs that status calls verified are at the server, whole"


def _share(used: int, free: int) -> float:
    return used / (used + free) if used + free else 0.0


def _kept(surroundings: Surroundings) -> tuple[Path, Path]:
    """wandb's folder of artifact contents that wait for upload, and its artifact cache."""
    env, home = surroundings.env, surroundings.home
    data = Path(env["WANDB_DATA_DIR"]) if env.get("WANDB_DATA_DIR") else home / ".local" / "share" / "wandb"
    cache = Path(env["WANDB_CACHE_DIR"]) if env.get("WANDB_CACHE_DIR") else home / ".cache" / "wandb"
    return data / "artifacts" / "staging", cache / "artifacts"


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
    return size, files


def _remedy(folder: Path) -> str:
    if folder.name == "staging":
        return "sync the runs first: their artifacts are here; then it may be emptied"
    return "wandb artifact cache cleanup 1GB"


def _gigabytes(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB"
