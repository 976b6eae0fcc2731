"""`backhaul run --on-disk link-media` with a job that runs already: real images, a real SDK, a disk that fills."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ..command import Backhaul
from ..conftest import DepotProcess
from ..depot_contents import held
from ..small_disk import small_disk

# Logs an image before the disk is full, while it is, and afterwards; says which of the three are links in the run.
LOGS_IMAGES = """
import os, sys, time
from pathlib import Path
import wandb
originals, disk, project = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
flag, ballast = Path(os.environ["BACKHAUL_LINK_MEDIA"]), disk / "ballast"

def wait(there):
    until = time.monotonic() + 100
    while flag.exists() != there and time.monotonic() < until:
        time.sleep(0.02)

with wandb.init(project=project, id="images", dir=str(disk)) as run:
    run.log({"before": wandb.Image(str(originals / "0.png"))})
    ballast.write_bytes(bytes(7 << 20))
    wait(True)
    run.log({"during": wandb.Image(str(originals / "1.png"))})
    ballast.unlink()
    wait(False)
    run.log({"after": wandb.Image(str(originals / "2.png"))})
    images = sorted(Path(run.dir, "media", "images").iterdir())
print(*(image.name.split("_")[0] for image in images if image.is_symlink()), "of", len(images))
"""


@pytest.fixture
def originals(tmp_path: Path) -> Path:
    """Three pictures outside of the run."""
    from PIL import Image

    folder = tmp_path / "originals"
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (64, 64), (number, 10, 20)).save(folder / f"{number}.png")
    return folder


def test_media_of_a_running_job_are_linked_while_the_disk_is_full(
    backhaul: Backhaul, depot: DepotProcess, originals: Path, tmp_path: Path, project: str
) -> None:
    """They are copied before and afterwards, all arrive the same, and nothing of ours is left behind."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with small_disk(tmp_path / "disk", 12) as disk:
        there = backhaul.with_env(WANDB_DIR=str(disk), TMPDIR=str(temporary))
        guard = ("--on-disk", "link-media", "--disk-act", "50", "--disk-every", "0.1", "-p", project)
        done = there("run", *guard, "--", sys.executable, "-c", LOGS_IMAGES, originals, disk, project)
        assert (done.exit_code, done.stdout.splitlines()[-1:]) == (0, ["during of 3"]), done.stderr
    files = held(depot.data, project, "images").files
    arrived = {name.split("/")[-1].split("_")[0]: data for name, data in files.items() if name.startswith("media/")}
    names = ("before", "during", "after")
    assert arrived == {name: (originals / f"{number}.png").read_bytes() for number, name in enumerate(names)}
    assert list(temporary.glob("backhaul-job-*")) == []


def test_nothing_is_left_behind_by_a_job_that_does_not_start(backhaul: Backhaul, tmp_path: Path) -> None:
    """The switch goes as well when there was nobody to heed it."""
    there = backhaul.with_env(TMPDIR=str(tmp_path))
    assert there("run", "--no-sync", "--on-disk", "link-media", "--", "no-such-program").exit_code == 127
    assert list(tmp_path.glob("backhaul-job-*")) == []
