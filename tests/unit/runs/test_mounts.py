"""What kind of file system a path lies on, by tables of mounts."""

from __future__ import annotations

from pathlib import Path

import pytest

from backhaul.runs.mounts import MountTable

_TABLE = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 27 0:50 / /home rw,relatime shared:1 master:2 - nfs4 server:/home rw,vers=4.2
41 27 0:51 / /scratch rw - lustre mds@tcp:/scratch rw
42 41 0:52 / /scratch/local\\040disk rw - xfs /dev/nvme0n1 rw
43 27 0:53 / /twice rw - ext4 /dev/sda rw
44 27 0:54 / /twice rw - beegfs beegfs_nodev rw
a line of another form
45 27 0:55 / /weka rw - wekafs weka rw
46 27 0:56 / /gpfs rw - gpfs fs1 rw
47 27 0:57 / /ceph rw - ceph 1.2.3.4:/ rw
48 27 0:58 / /sshfs rw - fuse.sshfs host: rw
49 27 0:59 / /odd rw - newfs dev rw
"""


@pytest.mark.parametrize(
    ("path", "point", "kind", "shared", "tells"),
    [
        ("/etc/passwd", "/", "ext4", False, True),
        ("/home/me/wandb", "/home", "nfs4", True, False),
        ("/home", "/home", "nfs4", True, False),
        ("/homes/me", "/", "ext4", False, True),
        ("/scratch/me", "/scratch", "lustre", True, False),
        ("/scratch/local disk/me", "/scratch/local disk", "xfs", False, True),
        ("/twice/a", "/twice", "beegfs", True, False),
        ("/weka/a", "/weka", "wekafs", True, False),
        ("/gpfs/a", "/gpfs", "gpfs", True, False),
        ("/ceph/a", "/ceph", "ceph", True, False),
        ("/sshfs/a", "/sshfs", "fuse.sshfs", True, False),
        # Not known to be shared, and not known to tell either.
        ("/odd/a", "/odd", "newfs", False, False),
    ],
)
def test_a_path_lies_on_the_innermost_mount(path: str, point: str, kind: str, shared: bool, tells: bool) -> None:
    """Of two at one place on the later one."""
    mount = MountTable.of(_TABLE).holding(Path(path))
    assert (str(mount.point), mount.kind, mount.is_shared, mount.tells_changes) == (point, kind, shared, tells)


def test_without_a_table_nothing_is_known() -> None:
    """Then a file system counts as shared, and changes are looked for."""
    mount = MountTable.of("").holding(Path("/anywhere"))
    assert (mount.kind, mount.is_shared, mount.tells_changes) == ("", True, False)


def test_this_hosts_table_knows_its_root(tmp_path: Path) -> None:
    """The kernel's own table is read."""
    assert MountTable.of_this_host().holding(tmp_path).kind
