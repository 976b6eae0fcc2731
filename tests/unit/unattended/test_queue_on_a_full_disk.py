"""The queue has room for what it has yet to remember, whoever fills the disk. The disk is a real one."""

from __future__ import annotations

from pathlib import Path

from backhaul.sync.progress import LogStamp
from backhaul.unattended.queue.entry import Entry
from backhaul.unattended.queue.opening import open_queue

from ...small_disk import fill, small_disk


def test_runs_are_put_in_and_told_of_when_the_disk_is_full(tmp_path: Path) -> None:
    """Also by a process that opens it only then."""
    with small_disk(tmp_path / "disk", 1) as disk:
        where = str(disk / "queue.db")
        open_queue(where).close()
        fill(disk)
        for number in range(100):
            with open_queue(where) as queue:
                queue.add([Entry(disk / f"run-{number}.wandb", stamp=LogStamp(number, number))])
        with open_queue(where) as queue:
            assert len(queue.items()) == 100
            assert queue.ask(item.key for item in queue.items()) == 100


def test_a_disk_that_is_full_already_is_no_reason_not_to_open_it(tmp_path: Path) -> None:
    """An older queue has no room of its own; it is used as far as that goes."""
    with small_disk(tmp_path / "disk", 1) as disk:
        where = str(disk / "queue.db")
        with open_queue(where) as queue:
            queue.add([Entry(disk / "run-1.wandb")])
        # As it was before it had room: no free pages, no journal.
        import sqlite3
        from contextlib import closing

        with closing(sqlite3.connect(where)) as connection:
            connection.execute("VACUUM")
        (disk / "queue.db-journal").unlink(missing_ok=True)
        fill(disk)
        with open_queue(where) as queue:
            assert len(queue.items()) == 1
