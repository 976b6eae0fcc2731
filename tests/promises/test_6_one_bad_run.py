"""Promise 6: one bad run never stops another, nor one bad file or record the rest of its run."""

from __future__ import annotations

import signal
import sqlite3
from pathlib import Path
from typing import Any

from backhaul.wandblog import LogReader

from ..command import Backhaul, copied, copy_of, end, id_of, log_of, marker_of
from ..conftest import DepotProcess
from ..depot_contents import delete, held
from ..fault_proxy import FaultProxy, refusal, stall
from ..waiting import until


def _bad_runs(folder: Path) -> dict[str, str]:
    """Run directories that cannot be delivered, beside each other; the error code that each must get, by run id."""
    for name in ("empty", "seven", "text", "sqlite", "folder"):
        (folder / "wandb" / f"offline-run-20200101_000000-{name}").mkdir(parents=True)
    _log(folder, "empty").touch()
    _log(folder, "seven").write_bytes(b":W&B\xe1\xbe\x00")
    _log(folder, "text").write_text("this is no log")
    _log(folder, "folder").mkdir()
    database = sqlite3.connect(_log(folder, "sqlite"))
    database.execute("CREATE TABLE t (x)")
    database.close()
    return {
        "empty": "empty-log",
        "seven": "empty-log",
        "text": "not-a-wandb-log",
        "sqlite": "not-a-wandb-log",
        "folder": "unreadable-file",
    }


def _log(folder: Path, run_id: str) -> Path:
    return folder / "wandb" / f"offline-run-20200101_000000-{run_id}" / f"run-{run_id}.wandb"


def _by_id(document: dict[str, Any]) -> dict[str, Any]:
    return {run["run_id"]: run for run in document["runs"]}


def test_runs_that_cannot_be_read_do_not_keep_the_healthy_ones(
    backhaul: Backhaul, depot: DepotProcess, healthy_original: Path, tmp_path: Path, project: str
) -> None:
    """Five bad run directories before two good ones: the good arrive, each bad one is told with its own reason."""
    folder = tmp_path / "mixed"
    bad = _bad_runs(folder)
    good = [copied(healthy_original, folder), copy_of("0.31.0", folder)]
    done = backhaul.sync(folder, "-p", project, "-j", "1")
    runs = _by_id(done.document)
    assert done.exit_code == 6, done.stderr
    assert {run_id: runs[run_id]["error"]["code"] for run_id in bad} == bad
    assert {runs[run_id]["state"] for run_id in bad} == {"quarantined"}
    assert [runs[id_of(run)]["state"] for run in good] == ["verified", "verified"]
    assert len(held(depot.data, project, "healthy").rows) == 300


def test_a_deleted_run_does_not_keep_the_others(
    backhaul: Backhaul, depot: DepotProcess, healthy_original: Path, tmp_path: Path, project: str
) -> None:
    """The server refuses one id for good (409); the run beside it arrives."""
    folder = tmp_path / "mixed"
    gone, good = copied(healthy_original, folder), copy_of("0.31.0", folder)
    assert backhaul.sync(gone, "-p", project).exit_code == 0
    delete(depot.data, project, "healthy")
    for left in (*gone.glob("*.backhaul"), marker_of(gone)):
        left.unlink()
    done = backhaul.sync(folder, "-p", project)
    runs = _by_id(done.document)
    assert (done.exit_code, runs["healthy"]["error"]["code"]) == (7, "run-deleted")
    assert runs[id_of(good)]["state"] == "verified"


def test_a_run_that_hangs_does_not_keep_the_others(
    backhaul: Backhaul, proxy: FaultProxy, healthy_original: Path, tmp_path: Path, project: str
) -> None:
    """One request never answered: the run beside it is delivered meanwhile."""
    folder = tmp_path / "mixed"
    runs = {copied(healthy_original, folder), copy_of("0.31.0", folder)}
    proxy.on("UpsertBucket", stall)
    process = backhaul.to(proxy.url).start("sync", folder, "-p", project, "--json")
    (home,) = until(lambda: [run for run in runs if marker_of(run).exists()], "the other one is home")
    process.send_signal(signal.SIGTERM)
    done = end(process)
    (hanging,) = runs - {home}
    assert done.exit_code == 143
    assert _by_id(done.document)[id_of(hanging)]["state"] == "blocked"
    assert not marker_of(hanging).exists()


def test_a_file_that_is_refused_does_not_keep_the_rest_of_its_run(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, healthy: Path, project: str
) -> None:
    """The rows, the other files and the end arrive; the run is quarantined with the file's name and not marked."""
    proxy.always("put", refusal(413, "too large"))
    through = backhaul.to(proxy.url)
    done = through.sync(healthy, "-p", project)
    assert (done.exit_code, done.only["state"]) == (6, "quarantined"), done.stderr
    assert "file saved.txt" in {item["what"] for item in done.only["quarantined"]}
    assert all(item["reason"] and item["next"] for item in done.only["quarantined"])
    there = held(depot.data, project, "healthy")
    assert (len(there.rows), there.run.state) == (300, "finished")
    assert not marker_of(healthy).exists()
    proxy.heal()
    assert through.sync(healthy, "-p", project).exit_code == 0


def test_a_saved_file_that_is_gone_does_not_keep_the_rest_of_its_run(
    backhaul: Backhaul, depot: DepotProcess, healthy: Path, project: str
) -> None:
    """It is named with the place where it should be; put back, the same command brings it."""
    saved = healthy / "files" / "saved.txt"
    content = saved.read_bytes()
    saved.unlink()
    done = backhaul.sync(healthy, "-p", project)
    assert (done.exit_code, done.only["state"]) == (6, "quarantined")
    (item,) = done.only["quarantined"]
    assert "saved.txt" in item["reason"]
    assert len(held(depot.data, project, "healthy").rows) == 300
    saved.write_bytes(content)
    assert backhaul.sync(healthy, "-p", project).exit_code == 0
    assert held(depot.data, project, "healthy").files["saved.txt"] == content


def test_damage_inside_a_log_costs_only_what_it_hit(
    backhaul: Backhaul, depot: DepotProcess, healthy: Path, project: str
) -> None:
    """A flipped byte in one row: all the others arrive, exit 9 says that some are lost, no marker."""
    log = log_of(healthy)
    records = list(LogReader(log))
    row = [place for place, record in enumerate(records) if record.kind == "history"][150]
    content = bytearray(log.read_bytes())
    content[(records[row].offset + records[row + 1].offset) // 2] ^= 0xFF
    log.write_bytes(content)
    done = backhaul.sync(healthy, "-p", project)
    assert (done.exit_code, done.only["error"]["code"]) == (9, "log-damaged"), done.stderr
    assert done.only["damage"]
    arrived = [row["loss"] for row in held(depot.data, project, "healthy").rows]
    assert arrived == [1 / (step + 1) for step in range(300) if step != 150]
    assert not marker_of(healthy).exists()
