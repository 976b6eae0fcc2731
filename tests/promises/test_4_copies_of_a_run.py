"""Promise 4, where the same recording lies in several places: each row once, and each copy has its outcome."""

from __future__ import annotations

from pathlib import Path

from ..command import Backhaul, copied, log_of
from ..conftest import DepotProcess
from ..depot_contents import held


def test_copies_of_one_recording_are_one_part(
    backhaul: Backhaul, depot: DepotProcess, healthy_original: Path, tmp_path: Path, project: str
) -> None:
    """A folder, its backup, and one that was copied while the job ran, in one call: no row is there twice."""
    everything = tmp_path / "everything"
    for name in ("backup", "folder", "halfway"):
        copied(healthy_original, everything / name)
    half = log_of(next(everything.glob("halfway/wandb/*")))
    half.write_bytes(half.read_bytes()[: 1 << 15])
    for _ in range(2):
        done = backhaul.sync(everything, "-p", project)
        assert (done.exit_code, [run["state"] for run in done.document["runs"]]) == (0, ["verified"] * 3), done.stderr
        there = held(depot.data, project, "healthy")
        assert [row["loss"] for row in there.rows] == [1 / (step + 1) for step in range(300)]
        assert (len(there.console), there.run.state) == (31, "finished")
        assert there.summary["loss"] == 1 / 300
    verified = backhaul("verify", everything, "-p", project, "--json")
    assert [run["state"] for run in verified.document["runs"]] == ["verified"] * 3, verified.stderr
