"""What a user leaves out is told, kept in the receipt, and sent by a later sync without the wish."""

from __future__ import annotations

import json
from pathlib import Path

from backhaul.wandblog import LogReader, LogWriter
from backhaul.wandblog.schema import Record

from ..command import Backhaul, log_of, marker_of, record
from ..conftest import DepotProcess
from ..depot_contents import held

_RUN = """
    import wandb
    run = wandb.init(project="p", id="choosy")
    for version in range(3):
        model = wandb.Artifact("model", "model")
        with model.new_file("weights.txt") as file:
            file.write(f"weights {version}")
        run.log_artifact(model, aliases=["final"] if version == 1 else [])
    with open("big.bin", "wb") as file:
        file.write(bytes(200_000))
    run.save("big.bin")
    run.log({"loss": 1})
    run.finish()
"""


def test_a_later_sync_sends_what_was_left_out(
    backhaul: Backhaul, sdk_env: dict[str, str], depot: DepotProcess, project: str, tmp_path: Path
) -> None:
    """Verified without them and not marked; then one version by its alias; then all, and the marker."""
    (run,) = record(_RUN, tmp_path / "work", sdk_env)

    first = backhaul.sync(run, "-p", project, "--no-artifacts", "--exclude", "*.bin")
    assert (first.exit_code, first.only["state"], first.only["artifacts"]["remote"]) == (0, "verified", 0)
    assert [item.split(":")[0] for item in first.only["left_out"]] == ["big.bin", *["artifact model"] * 3]
    assert json.loads(Path(first.only["receipt"]).read_text())["left_out"] == first.only["left_out"]
    assert not marker_of(run).exists()
    assert "big.bin" not in held(depot.data, project, "choosy").files

    second = backhaul.sync(run, "-p", project, "--only-artifacts", "model:final", "--max-file-size", "100K")
    assert (second.exit_code, second.only["artifacts"]["remote"], len(second.only["left_out"])) == (0, 1, 3)

    last = backhaul.sync(run, "-p", project)
    assert (last.exit_code, last.only["state"], last.only["left_out"]) == (0, "verified", [])
    assert last.only["artifacts"] == {"local": 3, "remote": 3}
    assert held(depot.data, project, "choosy").files["big.bin"] == bytes(200_000)
    assert marker_of(run).exists()
    assert backhaul.sync(run, "-p", project, "--only-artifacts", "x", "--no-artifacts").exit_code == 2


_OF_A_LATER_RELEASE = bytes.fromhex("da0503616263")  # field 91 of a record, three bytes long


def test_records_of_a_later_release_are_told_and_keep_the_run_from_counting_as_whole(
    backhaul: Backhaul, depot: DepotProcess, sdk_env: dict[str, str], project: str, tmp_path: Path
) -> None:
    """All that is known arrives; two records of an unknown kind are named, nothing is marked, and `clean` keeps it."""
    (run,) = record('import wandb\nwith wandb.init(id="later") as run:\n    run.log({"x": 1})', tmp_path / "a", sdk_env)
    log = log_of(run)
    records = [each.message for each in LogReader(log)]
    with log.open("wb") as file:
        writer = LogWriter(file)
        for number, each in enumerate([*records[:-1], *[None] * 2, records[-1]], 1):
            known = Record() if each is None else each
            known.num = number
            writer.write(known.SerializeToString() + (_OF_A_LATER_RELEASE if each is None else b""))
        file.seek(6)
        file.write(b"\x01")

    done = backhaul.sync(run, "-p", project)
    assert (done.exit_code, done.only["state"], done.only["damage"]) == (0, "verified", []), done.stderr
    assert done.only["left_out"] == ["records of unknown kinds: 2"]
    assert "format version is 1" in done.only["notes"][0]
    assert [row["x"] for row in held(depot.data, project, "later").rows] == [1]
    assert not marker_of(run).exists()
    assert "records of unknown kinds: 2" in backhaul("sync", run, "-p", project).stderr
    assert backhaul("clean", run, "-p", project, "--yes").exit_code != 2
    assert log.exists()
