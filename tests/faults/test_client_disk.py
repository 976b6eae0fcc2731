"""The client's own disk fails: at the n-th call on ledger and log, and where the receipt is kept; the kernel does it.

Whatever fails, the outcome says so or the sync got over it; nothing is marked that is not there; the same command
afterwards brings everything home, each line once.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ..command import Backhaul, Finished, copied, ledger_of, log_of, marker_of
from ..conftest import DepotProcess
from ..depot_contents import held
from ..fault_proxy import FaultProxy

_AS_ROOT = [] if os.geteuid() == 0 else ["sudo", "-n"]
_ERRORS = ["EIO", "ENOSPC", "EDQUOT", "ESTALE", "EROFS", "EINTR"]


class _Place(NamedTuple):
    """System calls on one file."""

    file: str
    calls: str


_LEDGER_OPENED = _Place("ledger", "openat")
_LEDGER_WRITTEN = _Place("ledger", "write")
_LEDGER_SYNCED = _Place("ledger", "fsync")
_LOG_OPENED = _Place("log", "openat")
_LOG_READ = _Place("log", "read,pread64")
_PLACES = [_LEDGER_OPENED, _LEDGER_WRITTEN, _LEDGER_SYNCED, _LOG_OPENED, _LOG_READ]


def _struck(
    backhaul: Backhaul, run: Path, project: str, place: _Place, fault: str, when: str, notes: Path
) -> tuple[Finished, bool]:
    """Sync while these calls on the file meet with the fault; and whether any did."""
    strace = shutil.which("strace")
    assert strace, "scripts/system-packages installs it"
    path = ledger_of(run) if place.file == "ledger" else log_of(run)
    inject = f"inject={place.calls}:{fault}:when={when}"
    prefix = (strace, "-f", "--seccomp-bpf", "-qq", "-o", str(notes), "-P", str(path), "-e", f"trace={place.calls}")
    done = backhaul.sync(run, "-p", project, prefix=(*prefix, "-e", inject), timeout=120)
    return done, "(INJECTED)" in notes.read_text()


def _assert_outlived(
    backhaul: Backhaul, depot: DepotProcess, run: Path, project: str, place: _Place, fault: str, when: str, notes: Path
) -> bool:
    """The rule of this module for one fault; whether the fault was met at all."""
    what = f"{place.calls} of the {place.file}, {when}: {fault}"
    with FaultProxy(depot.url) as proxy:
        through = backhaul.to(proxy.url)
        done, met = _struck(through, run, project, place, fault, when, notes)
        assert done.exit_code in (0, 5, 6, 9), f"{what}: {done.stderr}"
        assert marker_of(run).exists() == (done.exit_code == 0), what
        if done.exit_code:
            assert done.only["error"]["message"], what
        again = through.sync(run, "-p", project)
        assert (again.exit_code, again.only["state"]) == (0, "verified"), f"{what}: {again.stderr}"
        numbers: dict[tuple[str, int], set[str]] = {}
        for stream, number, line in proxy.lines():
            if stream != "wandb-summary.json":
                numbers.setdefault((stream, number), set()).add(line)
        assert all(len(lines) == 1 for lines in numbers.values()), what
    there = held(depot.data, project, "healthy")
    assert [row["loss"] for row in there.rows] == [1 / (step + 1) for step in range(300)], what
    assert len(there.console) == 31, what
    return met


@pytest.mark.parametrize(
    ("place", "fault", "when"),
    [
        (_LEDGER_OPENED, "error=EROFS", "1+"),
        (_LEDGER_WRITTEN, "error=ENOSPC", "2"),
        (_LEDGER_SYNCED, "error=EIO", "2"),
        (_LOG_READ, "error=ESTALE", "3"),
    ],
)
def test_a_failing_disk_is_told_and_outlived(
    backhaul: Backhaul,
    depot: DepotProcess,
    healthy: Path,
    tmp_path: Path,
    project: str,
    place: _Place,
    fault: str,
    when: str,
) -> None:
    """One fault of each kind."""
    assert _assert_outlived(backhaul, depot, healthy, project, place, fault, when, tmp_path / "notes"), "never met"


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("place", _PLACES, ids=lambda place: f"{place.file}-{place.calls}")
@pytest.mark.parametrize("error", _ERRORS)
def test_the_nth_call_fails_for_every_n(
    backhaul: Backhaul,
    depot: DepotProcess,
    healthy_original: Path,
    tmp_path: Path,
    project: str,
    place: _Place,
    error: str,
) -> None:
    """Once and for good, from the first call on until a sync has fewer calls than that.

    A call that is interrupted is made again by Python itself, so that one which always is never ends.
    """
    for often in ("",) if error == "EINTR" else ("", "+"):
        number, met = 0, True
        while met:
            number += 1
            run = copied(healthy_original, tmp_path / f"{number}{often}")
            met = _assert_outlived(
                backhaul, depot, run, f"{project}-{number}{often}", place, f"error={error}", f"{number}{often}",
                tmp_path / "notes",
            )  # fmt: skip
        assert number > 1, "no such call was ever made"


# Batches so small that the healthy run has several, a ledger that is written anew after every few entries, and SIGKILL
# when Python announces (as an audit event) that it is about to do `event` with the file of that name.
_COMPACTING = """
import os, signal, sys
event, name = sys.argv.pop(1), sys.argv.pop(1)
def listen(happening, details):
    if happening == event and os.path.basename(str(details[0])) == name:
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(listen)
import backhaul.sync.batch as batch
import backhaul.wandblog.framing as framing
batch.BATCH_BYTES = framing._FIRST_READ = framing._READ = 2000
import backhaul.sync.ledger as ledger
ledger._COMPACT_AFTER_ENTRIES = 3
from backhaul.cli import main
main()
"""


def test_killed_while_its_ledger_is_written_anew_a_sync_goes_on(
    backhaul: Backhaul, depot: DepotProcess, healthy: Path, project: str
) -> None:
    """Before the new file is made, when it is whole and not yet renamed, and when the rename is not yet durable."""
    anew = f"{ledger_of(healthy).name}.new"
    for event, name in (("open", anew), ("os.rename", anew), ("open", healthy.name)):
        line = [sys.executable, "-c", _COMPACTING, event, name, "sync", str(healthy), "-p", project]
        done = subprocess.run(
            line, env=backhaul.env, cwd=backhaul.cwd, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == -9, f"{event} of {name} was not reached: {done.stderr}"
    finished = backhaul.sync(healthy, "-p", project)
    assert (finished.exit_code, finished.only["state"]) == (0, "verified"), finished.stderr
    there = held(depot.data, project, "healthy")
    assert [row["loss"] for row in there.rows] == [1 / (step + 1) for step in range(300)]
    assert len(there.console) == 31


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that holds 256 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    options = f"size=256k,mode=0700,uid={os.geteuid()}"
    subprocess.run([*_AS_ROOT, "mount", "-t", "tmpfs", "-o", options, "none", place], check=True)
    yield place
    subprocess.run([*_AS_ROOT, "umount", "-l", place], check=True)


def test_a_receipt_on_a_full_disk_is_no_proof(
    backhaul: Backhaul, depot: DepotProcess, healthy: Path, small_disk: Path, project: str
) -> None:
    """No room where receipts are kept: told, nothing marked; with room again only the proof is made anew."""
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    assert os.statvfs(small_disk).f_bavail == 0
    with FaultProxy(depot.url) as proxy:
        through = backhaul.to(proxy.url).with_env(XDG_STATE_HOME=str(small_disk))
        done = through.sync(healthy, "-p", project)
        assert (done.exit_code, done.only["error"]["code"], done.only["state"]) == (5, "disk-full", "blocked")
        assert not marker_of(healthy).exists()
        filler.unlink()
        sent = len(list(proxy.lines()))
        done = through.sync(healthy, "-p", project)
        assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
        again = [stream for stream, _, _ in list(proxy.lines())[sent:]]
        assert again in ([], ["wandb-summary.json"]), "lines were sent again"
    assert Path(done.only["receipt"]).is_relative_to(small_disk)
