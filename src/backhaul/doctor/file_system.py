"""What kind of file system a path lies on."""

from __future__ import annotations

from pathlib import Path

import psutil

_SHARED = (
    "nfs", "lustre", "gpfs", "beegfs", "cifs", "smb", "ceph", "afs", "9p", "panfs", "weka", "glusterfs", "fuse",
)  # fmt: skip


def kind_of(path: Path) -> str:
    """The name of the file system that `path` lies on (`ext4`, `nfs4`, …), empty when the system does not say."""
    resolved = path.resolve()
    best, kind = -1, ""
    for mount in psutil.disk_partitions(all=True):
        point = Path(mount.mountpoint)
        if (resolved == point or point in resolved.parents) and len(mount.mountpoint) > best:
            best, kind = len(mount.mountpoint), mount.fstype
    return kind


def is_shared(path: Path) -> bool:
    """Whether other hosts may have the same files open; True as well when the system does not say."""
    kind = kind_of(path)
    return not kind or kind.startswith(_SHARED)
