"""What kind of file system a path lies on."""

from __future__ import annotations

from pathlib import Path

import psutil

_SHARED = (
    "nfs", "lustre", "gpfs", "beegfs", "cifs", "smb", "ceph", "afs", "9p", "panfs", "weka", "glusterfs", "fuse",
)  # fmt: skip


def kind_of(path: Path) -> str:
    """The name of the file system that `path` lies on (`ext4`, `nfs4`, …), empty when the system does not say."""
    return _mount(path)[1]


def mount_of(path: Path) -> Path:
    """Where the file system that `path` lies on is mounted; the root when the system does not say."""
    return _mount(path)[0]


def _mount(path: Path) -> tuple[Path, str]:
    resolved = path.resolve()
    best, kind = Path("/"), ""
    for mount in psutil.disk_partitions(all=True):
        point = Path(mount.mountpoint)
        # Of two at one place the later one hides the other.
        if (resolved == point or point in resolved.parents) and len(point.parts) >= len(best.parts):
            best, kind = point, mount.fstype
    return best, kind


def is_shared(path: Path) -> bool:
    """Whether other hosts may have the same files open; True as well when the system does not say."""
    kind = kind_of(path)
    return not kind or kind.startswith(_SHARED)
