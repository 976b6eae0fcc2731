"""A log that ends because there was no room for more."""

from __future__ import annotations

from pathlib import Path

import pytest

from backhaul import open_run

from ...command import copy_of


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("writer: failed to save record: write run-a.wandb: no space left on device", "The disk was full"),
        ("OSError: [Errno 122] Disk quota exceeded", "The disk was full"),
        ("writer: closed", "The run was killed"),
        (None, "The run was killed"),
    ],
)
def test_what_a_full_disk_took_has_no_bound(tmp_path: Path, said: str | None, told: str) -> None:
    """The job goes on, and all that it logs from then on is lost: not 32 KiB, as at a kill."""
    run = copy_of("0.31.0-killed", tmp_path)
    if said is not None:
        (run / "logs").mkdir(exist_ok=True)
        (run / "logs" / "debug-internal.log").write_text(f'{{"msg":"{said}"}}\n')
    (note,) = open_run(run).notes
    assert note.startswith(told)
