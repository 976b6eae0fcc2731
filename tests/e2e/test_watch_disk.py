"""`backhaul watch` on a disk that fills: a real one, of 8 MiB."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from ..command import Backhaul, copied, copy_of
from ..small_disk import fill, small_disk
from ..watching import Watching


def test_a_watcher_tells_of_a_disk_that_fills_tries_what_waits_and_deletes_what_is_home(
    backhaul: Backhaul, healthy_original: Path, project: str, tmp_path: Path
) -> None:
    """Verified runs go, others stay; the watcher works on."""
    with small_disk(tmp_path / "disk", 8) as disk:
        home, bad = copied(healthy_original, disk), copy_of("empty", disk)
        guard = ("--on-disk", "sync", "--on-disk", "clean", "--disk-every", "0.3")
        watching = Watching(backhaul, "-p", project, "--poll", "0.5", *guard, disk)
        try:
            watching.until("verified", run="healthy")
            assert watching.told("disk") == []
            fill(disk)
            told = watching.until("disk", folder=str(disk))
            assert (told["error"]["code"], told["level"]) == ("disk-full", "warning")
            # It may look while the disk is still being filled.
            assert re.search(r"is (8\d|9\d|100)% full", told["error"]["message"])
            watching.until("disk", tried_now=0)
            assert watching.until("disk", deleted=1)["freed"] > 0
            assert (home.exists(), bad.exists()) == (False, True)
            (disk / "ballast").unlink()
            new = copy_of("0.31.0", disk)
            watching.until("verified", path=str(new))
            assert watching.stop(signal.SIGTERM) in (0, 143)
        finally:
            watching.kill()
