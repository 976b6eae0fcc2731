"""What kind of file system a path lies on, by the table of mounts: a value, so that any table can be asked.

The format of the table is that of Linux's `/proc/self/mountinfo` (proc(5)).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_TABLE = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")
# Where several hosts may have the same files open, where locks are doubtful, or where changes made elsewhere are not
# told to this host.
_SHARED = (
    "nfs", "lustre", "gpfs", "beegfs", "cifs", "smb", "ceph", "afs", "9p", "panfs", "weka", "glusterfs", "orangefs",
    "pvfs", "ocfs2", "gfs2", "daos", "quobyte", "virtiofs", "vboxsf", "fuse",
)  # fmt: skip
# Of these it is known that the kernel sees every change, so that it can tell of it.
_LOCAL = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "f2fs", "jfs", "reiserfs"})


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted file system: where, and its kind (`ext4`, `nfs4`, …; empty when nothing is known)."""

    point: Path
    kind: str

    @property
    def is_shared(self) -> bool:
        """Whether other hosts may have the same files open; True as well when the system does not say."""
        return not self.kind or self.kind.startswith(_SHARED)

    @property
    def tells_changes(self) -> bool:
        """Whether this host's kernel sees every change, whoever makes it."""
        return self.kind in _LOCAL


@dataclass(frozen=True, slots=True)
class MountTable:
    """The mounts of this host, in the order in which they were made."""

    mounts: tuple[Mount, ...]

    @classmethod
    def of(cls, text: str) -> Self:
        """The table that `text` holds; lines of another form are passed over."""
        return cls(tuple(mount for line in text.splitlines() if (mount := _mount(line)) is not None))

    @classmethod
    def of_this_host(cls) -> Self:
        """The table as it is now; empty where the system has none."""
        try:
            return cls.of(_TABLE.read_text(encoding="utf-8", errors="surrogateescape"))
        except OSError:
            return cls(())

    def holding(self, path: Path) -> Mount:
        """The mount that `path` lies on; the root of no known kind when the table does not say."""
        resolved, best = path.resolve(), Mount(Path("/"), "")
        for mount in self.mounts:
            inside = resolved == mount.point or mount.point in resolved.parents
            # Of two at one place the later one hides the other.
            if inside and len(mount.point.parts) >= len(best.point.parts):
                best = mount
        return best


def _mount(line: str) -> Mount | None:
    # 36 35 98:0 /root /where/it/is rw,noatime master:1 - ext3 /dev/root rw
    place, _, what = line.partition(" - ")
    fields, kinds = place.split(" "), what.split(" ")
    if len(fields) < 5 or not kinds[0]:
        return None
    return Mount(Path(_ESCAPED.sub(lambda match: chr(int(match[1], 8)), fields[4])), kinds[0])
