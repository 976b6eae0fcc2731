"""Promise 1: run directories are only read; the ledger and, after verification, `.synced` are all that is added."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..command import OBEYING_PERMISSIONS, Backhaul, copy_of, ledger_of, log_of, marker_of
from ..conftest import DepotProcess
from ..depot_contents import held
from ..fault_proxy import FaultProxy, refusal

Tree = dict[str, tuple[int, int, str]]


def _tree(folder: Path) -> Tree:
    """Every entry with its mode, its time of change (of files) and its content's digest."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_mtime_ns if content else 0, content)
    return found


def _added(before: Tree, after: Tree) -> set[str]:
    """Names that are new; fails when anything that was there is gone or different."""
    assert {name: after.get(name) for name in before} == before
    return set(after) - set(before)


def test_a_delivered_run_has_a_ledger_and_a_marker_and_nothing_else_changed(
    backhaul: Backhaul, healthy: Path, project: str
) -> None:
    """Content, modes and times of all that was there stay as they were."""
    before = _tree(healthy)
    assert backhaul.sync(healthy, "-p", project).exit_code == 0
    assert _added(before, _tree(healthy)) == {ledger_of(healthy).name, marker_of(healthy).name}


def test_a_failed_sync_leaves_a_ledger_at_most(
    backhaul: Backhaul, proxy: FaultProxy, healthy: Path, project: str
) -> None:
    """A refused file_stream: no marker, and nothing else of the run directory has changed."""
    proxy.always("file_stream", refusal(403))
    before = _tree(healthy)
    assert backhaul.to(proxy.url).sync(healthy, "-p", project).exit_code == 7
    assert _added(before, _tree(healthy)) == {ledger_of(healthy).name}


def test_a_dry_run_touches_nothing_at_all(backhaul: Backhaul, tmp_path: Path) -> None:
    """Neither ledger nor marker nor temporary file, and no network is needed."""
    run = copy_of("0.31.0", tmp_path / "dry")
    before = _tree(run)
    done = backhaul.without("WANDB_API_KEY").to("http://127.0.0.1:9").sync(run, "--dry-run")
    assert (done.exit_code, done.only["state"]) == (0, "pending")
    assert done.only["streams"]["history"]["local"] == 21
    assert _added(before, _tree(run)) == set()
    assert not backhaul.state.exists()


def test_a_read_only_run_arrives_and_its_ledger_lies_in_the_state_folder(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, healthy: Path, project: str
) -> None:
    """Archives are read-only: nothing is written there, and the second sync still knows of the first."""
    for path in (*healthy.rglob("*"), healthy):
        path.chmod(path.stat().st_mode & 0o555)
    before, through = _tree(healthy), backhaul.to(proxy.url)
    first = through.sync(healthy, "-p", project, prefix=OBEYING_PERMISSIONS)
    assert (first.exit_code, first.only["state"]) == (0, "verified"), first.stderr
    assert _added(before, _tree(healthy)) == set()
    (ledger,) = (backhaul.state / "ledgers").iterdir()
    assert ledger.stem.startswith(log_of(healthy).stem)
    sent = len(proxy.seen)
    second = through.sync(healthy, "-p", project, prefix=OBEYING_PERMISSIONS)
    assert (second.exit_code, len(proxy.seen)) == (0, sent)
    assert len(held(depot.data, project, "healthy").rows) == 300


def test_what_a_run_said_of_itself_before_it_was_put_away_is_still_known(
    backhaul: Backhaul, healthy: Path, project: str
) -> None:
    """Its ledger beside it can no longer be written: another one goes on from there, and it is the one that counts."""
    assert backhaul.sync(healthy, "-p", f"{project}-before").exit_code == 0
    for path in (*healthy.rglob("*"), healthy):
        path.chmod(path.stat().st_mode & 0o555)
    assert backhaul.sync(healthy, "-p", project, prefix=OBEYING_PERMISSIONS).exit_code == 0
    (run,) = backhaul("status", healthy, "--json", prefix=OBEYING_PERMISSIONS).document["runs"]
    known = {each["to"].rpartition(" ")[2].split("/")[1] for each in run["destinations"]}
    assert known == {f"{project}-before", project}
