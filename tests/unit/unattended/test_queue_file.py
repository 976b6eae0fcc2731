"""The queue in a file: where it may lie, and what happens when it is damaged or the disk is full."""

from __future__ import annotations

import sqlite3
import subprocess
from pathlib import Path

import pytest

from backhaul.errors import DiskFull, QueuePlace, QueueUnavailable
from backhaul.runs.mounts import MountTable
from backhaul.unattended.queue.decision import Decision
from backhaul.unattended.queue.entry import Entry, QueueState
from backhaul.unattended.queue.opening import open_queue
from backhaul.unattended.queue.sql_queue import SqlQueue
from backhaul.unattended.queue.sqlite import SqliteDatabase

_SHARED = "40 27 0:50 / {point} rw - {kind} server:/home rw\n"


def _filled(path: Path, count: int = 40) -> None:
    entries = [Entry(Path(f"/runs/offline-run-1-{number}/run-{number}.wandb"), project="p") for number in range(count)]
    with SqlQueue(SqliteDatabase(path)) as queue:
        queue.add(entries)
        for item in queue.take("one", "here", limit=5, lease=60):
            queue.settle(item, Decision(QueueState.VERIFIED))


def _aside(path: Path) -> list[Path]:
    # Its journal, which lies there from one transaction to the next, goes with it.
    return [each for each in path.parent.glob(f"{path.name}.damaged-*") if not each.name.endswith("-journal")]


@pytest.mark.parametrize("kind", ["nfs4", "lustre", "gpfs", "beegfs", "wekafs", "ceph", "cifs", "fuse.sshfs"])
def test_a_file_on_a_disk_of_several_hosts_is_refused_with_the_reason(folder: Path, kind: str) -> None:
    """Nothing is made there; the message names the file system, and what to do."""
    mounts = MountTable.of(_SHARED.format(point=folder, kind=kind))
    with pytest.raises(QueuePlace, match=kind) as refused:
        open_queue(str(folder / "deep" / "queue.db"), mounts)
    assert "postgresql://" in refused.value.next
    assert list(folder.iterdir()) == []


def test_a_host_that_has_no_table_of_mounts_is_trusted(folder: Path) -> None:
    """There is nothing to refuse it for."""
    with open_queue(str(folder / "queue.db"), MountTable.of("")) as queue:
        assert queue.items() == []


def test_an_address_of_another_kind_is_refused() -> None:
    """It is no file name by mistake."""
    with pytest.raises(QueuePlace, match="mysql"):
        open_queue("mysql://host/db")


def test_the_environment_says_where_the_queue_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For all commands at once."""
    monkeypatch.setenv("BACKHAUL_QUEUE", str(folder / "elsewhere.db"))
    open_queue().close()
    assert (folder / "elsewhere.db").exists()


def test_a_file_that_is_no_database_is_set_aside(folder: Path) -> None:
    """It is kept, and the queue begins anew."""
    path = folder / "queue.db"
    path.write_bytes(b"no database at all" * 100)
    with SqlQueue(SqliteDatabase(path)) as queue:
        assert queue.items() == []
    assert [each.read_bytes()[:11] for each in _aside(path)] == [b"no database"]


def test_what_can_be_read_of_a_damaged_file_is_in_the_new_one(folder: Path) -> None:
    """Runs come back as due: what came of them, their ledgers know. Where they are to go is kept."""
    path = folder / "queue.db"
    _filled(path)
    with sqlite3.connect(path) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'backhaul_runs_due'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    content = bytearray(path.read_bytes())
    content[(page - 1) * size : page * size] = bytes(size)
    path.write_bytes(content)
    with SqlQueue(SqliteDatabase(path)) as queue:
        items = queue.items()
    assert len(_aside(path)) == 1
    assert (len(items), {item.state for item in items}) == (40, {QueueState.PENDING})
    assert {item.entry.project for item in items} == {"p"}


@pytest.mark.parametrize("offset", range(0, 36_000, 3000))
def test_wherever_a_file_is_damaged_the_queue_goes_on(folder: Path, offset: int) -> None:
    """Zeros over 600 bytes anywhere: the rows are there, or the file is set aside; never an error for the user."""
    path = folder / "queue.db"
    _filled(path)
    content = bytearray(path.read_bytes())
    content[offset : offset + 600] = bytes(len(content[offset : offset + 600]))
    path.write_bytes(content)
    with SqlQueue(SqliteDatabase(path)) as queue:
        queue.add([Entry(Path("/runs/offline-run-9-new/run-new.wandb"))])
        assert any(item.entry.log.name == "run-new.wandb" for item in queue.items())


def test_a_file_that_is_damaged_while_in_use_is_set_aside(folder: Path) -> None:
    """Whoever meets it is told; the next one finds a queue that works."""
    path = folder / "queue.db"
    with SqlQueue(SqliteDatabase(path)) as queue:
        path.write_bytes(b"overwritten by somebody" * 500)
        with pytest.raises(QueueUnavailable, match="set aside"):
            queue.items()
        assert queue.items() == []


def test_a_file_of_a_newer_version_is_left_alone(folder: Path) -> None:
    """It is not damage."""
    path = folder / "queue.db"
    SqliteDatabase(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(QueuePlace, match="version 9"):
        SqliteDatabase(path)
    assert _aside(path) == []


def test_a_full_disk_is_told_and_loses_no_row(folder: Path) -> None:
    """A real file system without space: what was there before is there after."""
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    try:
        path = disk / "queue.db"
        _filled(path)
        with SqlQueue(SqliteDatabase(path)) as queue:
            _fill(disk / "large")
            with pytest.raises(DiskFull):
                queue.add(Entry(Path(f"/runs/offline-run-2-{n}/run-{n}.wandb")) for n in range(5000))
            (disk / "large").unlink()
            assert len(queue.items()) == 40
    finally:
        subprocess.run(["umount", disk], check=True)


def _fill(path: Path) -> None:
    """Write until nothing more goes."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return
