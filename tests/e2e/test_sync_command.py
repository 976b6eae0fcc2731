"""`backhaul sync` as a user has it: the depot of his own, live runs, the forms of PATH, what is shown."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ..command import Backhaul, copied, copy_of, ledger_of, log_of, marker_of, record
from ..conftest import DepotProcess
from ..depot_contents import held
from ..fault_proxy import FaultProxy, after, forward


def test_to_depot_needs_neither_key_nor_server(backhaul: Backhaul, healthy: Path, tmp_path: Path) -> None:
    """The user's own depot is started for the command, holds the run, and is the same destination the next time."""
    own = tmp_path / "own-depot"
    alone = backhaul.without("WANDB_API_KEY", "WANDB_BASE_URL").with_env(BACKHAUL_DEPOT=str(own), USER="someone")
    first = alone.sync(healthy, "--to", "depot")
    assert (first.exit_code, first.only["state"]) == (0, "verified"), first.stderr
    entity, project = first.only["entity"], first.only["project"]
    assert len(held(own, project, "healthy", entity).rows) == 300
    assert not (own / "address").exists(), "the depot ended with the command"
    size = ledger_of(healthy).stat().st_size
    again = alone.sync(healthy, "--to", "depot")
    assert (again.exit_code, again.only["entity"]) == (0, entity)
    assert ledger_of(healthy).stat().st_size == size


def test_a_run_that_is_still_written_is_sent_as_far_as_it_is_and_finished_later(
    backhaul: Backhaul, depot: DepotProcess, tmp_path: Path, project: str
) -> None:
    """While a process has the log open for writing: recording, exit 5, no end; afterwards verified."""
    run = copy_of("0.31.0-killed", tmp_path / "work")
    with log_of(run).open("ab"):
        done = backhaul.sync(run, "-p", project)
        assert (done.exit_code, done.only["state"]) == (5, "recording"), done.stderr
        assert done.only["error"]["code"] == "still-recording"
        there = held(depot.data, project, done.only["run_id"])
        assert there.run.state == "running"
        assert there.history
        assert not marker_of(run).exists()
    done = backhaul.sync(run, "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    after = held(depot.data, project, done.only["run_id"])
    assert (after.history, after.run.state) == (there.history, "failed")
    assert done.only["url"] == f"{depot.url}/{done.only['entity']}/{project}/runs/{done.only['run_id']}"


def test_a_run_whose_disk_was_full_is_not_told_as_a_kill(backhaul: Backhaul, tmp_path: Path, project: str) -> None:
    """How much of it never reached the disk has no bound, and the user hears so."""
    run = copy_of("0.31.0-killed", tmp_path)
    (run / "logs").mkdir(exist_ok=True)
    (run / "logs" / "debug-internal.log").write_text("write run-a.wandb: no space left on device")
    done = backhaul.sync(run, "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    told = [note.split(":")[0] for note in done.only["notes"]]
    assert told == ["The disk was full while the run was recorded, as its logs/debug-internal.log says"]


def test_a_log_that_grew_since_gets_its_new_rows_sent(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, healthy: Path, project: str
) -> None:
    """A copy taken while the job ran, then the whole log: only what is new goes over the wire."""
    log, whole = log_of(healthy), log_of(healthy).read_bytes()
    log.write_bytes(whole[: len(whole) // 2])
    through = backhaul.to(proxy.url)
    first = through.sync(healthy, "-p", project)
    assert (first.exit_code, first.only["state"]) == (0, "verified"), first.stderr
    sent = first.only["streams"]["history"]["local"]
    assert 0 < sent < 300
    proxy.seen.clear()
    log.write_bytes(whole)
    second = through.sync(healthy, "-p", project)
    assert (second.exit_code, second.only["state"]) == (0, "verified"), second.stderr
    numbers = [number for stream, number, _ in proxy.lines() if stream == "wandb-history.jsonl"]
    assert numbers == list(range(sent, 300))
    there = held(depot.data, project, "healthy")
    assert (len(there.rows), there.run.state) == (300, "finished")


@pytest.mark.parametrize("form", ["directory", "log", "files", "wandb", "above", "latest", "current", "WANDB_DIR"])
def test_every_form_of_path_finds_the_run(
    backhaul: Backhaul, healthy_original: Path, tmp_path: Path, form: str
) -> None:
    """All of them name the same one run."""
    run = copied(healthy_original, tmp_path / "place")
    (run.parent / "latest-run").symlink_to(run.name)
    paths = {
        "directory": [run],
        "log": [log_of(run)],
        "files": [run / "files"],
        "wandb": [run.parent],
        "above": [tmp_path / "place"],
        "latest": [run.parent / "latest-run"],
    }
    bare = backhaul.without("WANDB_DIR")
    placed = Backhaul(bare.env | ({"WANDB_DIR": str(run.parent)} if form == "WANDB_DIR" else {}), run.parent.parent)
    done = placed("sync", *paths.get(form, []), "--dry-run", "--json")
    assert done.exit_code == 0, done.stderr
    assert (done.only["run_id"], done.only["streams"]["history"]["local"]) == ("healthy", 300)
    assert Path(done.only["path"]).samefile(run)


def test_entity_project_and_id_of_the_user_win(
    backhaul: Backhaul, depot: DepotProcess, healthy: Path, project: str
) -> None:
    """What is said on the command line stands above what the log says."""
    done = backhaul.sync(healthy, "-e", "team", "-p", project, "--id", "renamed")
    assert (done.exit_code, done.only["entity"], done.only["project"], done.only["run_id"]) == (
        0,
        "team",
        project,
        "renamed",
    )
    assert len(held(depot.data, project, "renamed", "team").rows) == 300


def test_a_run_without_any_row_arrives(backhaul: Backhaul, depot: DepotProcess, tmp_path: Path, project: str) -> None:
    """Config and end are worth delivering too."""
    (run,) = record(
        'import wandb\nrun = wandb.init(id="bare", config={"a": 1})\nrun.finish()', tmp_path / "bare", backhaul.env
    )
    done = backhaul.sync(run, "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    there = held(depot.data, project, "bare")
    assert (there.history, there.config["a"]["value"], there.run.state) == ({}, 1, "finished")


def test_two_syncs_of_one_run_at_once_do_not_meet(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, healthy: Path, project: str
) -> None:
    """The second one is told that the run is busy, and harms nothing."""
    through, released = backhaul.to(proxy.url), threading.Event()
    proxy.on("UpsertBucket", after(released, forward))
    process = through.start("sync", healthy, "-p", project)
    proxy.wait_for("UpsertBucket")
    done = through.sync(healthy, "-p", project)
    assert (done.exit_code, done.only["error"]["code"], done.only["state"]) == (5, "run-busy", "blocked"), done.stderr
    released.set()
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert len(held(depot.data, project, "healthy").rows) == 300
