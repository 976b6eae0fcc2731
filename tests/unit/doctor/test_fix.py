"""Lock files and `--fix`: only what is provably nobody's goes, and nothing else ever does."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backhaul.doctor.diagnosis import Diagnosis
from backhaul.doctor.examination import examine
from backhaul.doctor.finding import Finding
from backhaul.doctor.lock_file import Hold, LockFile
from backhaul.doctor.patient import Surroundings
from backhaul.runs import mounts
from backhaul.runs.directory import RunDirectory
from backhaul.runs.lock_owner import Owner
from backhaul.runs.open_files import OpenFiles

from ...command import copy_of, ledger_of, log_of

_HOLD = """
import fcntl, os, sys
kind, path = sys.argv[1:]
file = open(path, "r+" if os.path.exists(path) else "w+")
if kind == "flock":
    fcntl.flock(file, fcntl.LOCK_EX)
elif kind == "lockf":
    fcntl.lockf(file, fcntl.LOCK_EX)
elif kind == "ofd":
    import struct
    fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
elif kind == "named":
    file.write(f"{os.getpid()}\\n")
    file.close()
print(flush=True)
input()
"""


@contextmanager
def _holder(kind: str, path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the lock file for as long as the block lasts, and is killed then."""
    line = [sys.executable, "-c", _HOLD, kind, str(path)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def _visit(run: Path, *, fix: bool = True) -> Diagnosis:
    """A visit of the doctor to the run, and to what lies beside it."""
    directory = RunDirectory(run, log_of(run))
    home = run.parent.parent
    return examine([directory], Surroundings({}, home, home, (run.parent,), home / "state"), fix=fix)


def _codes(diagnosis: Diagnosis) -> dict[str, Finding]:
    return {finding.code: finding for finding in diagnosis.findings}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with nothing wrong about it."""
    return copy_of("0.18.7", tmp_path)


@pytest.mark.parametrize("kind", ["flock", "lockf", "ofd", "open", "named"])
def test_a_lock_that_somebody_holds_stays(run: Path, kind: str) -> None:
    """However it is held: locked in one of three ways, open, or by the number that stands in it."""
    lock = run.parent / "sync.lock"
    with _holder(kind, lock) as holder:
        done = _visit(run)
    assert (list(_codes(done)), lock.exists(), done.exit_code) == (["lock-held"], True, 0)
    assert str(holder.pid) in _codes(done)["lock-held"].evidence


def test_a_lock_whose_owner_was_killed_goes_with_fix_only(run: Path) -> None:
    """It names a process of this host that runs no more. The data beside it stays as it is."""
    lock, before = run.parent / "sync.lock", log_of(run).read_bytes()
    with _holder("named", lock):
        pass
    told = _visit(run, fix=False)
    assert (_codes(told)["leftover-lock"].fix is not None, lock.exists(), told.exit_code) == (True, True, 9)
    mended = _visit(run)
    assert (_codes(mended)["leftover-lock"].fixed, lock.exists(), mended.exit_code) == (True, False, 0)
    assert log_of(run).read_bytes() == before


def test_a_number_that_another_process_has_by_now_proves_that_the_owner_is_gone(run: Path) -> None:
    """The process of that number was born after the lock was made; one that was born before may be the owner."""
    lock, unlucky = run.parent / "sync.lock", run.parent / "born-later.lock"
    lock.write_text(f"{os.getpid()}\n")
    unlucky.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "started": time.time() - 86400}))
    findings = _visit(run).findings
    assert {(finding.path, finding.code) for finding in findings} == {
        (str(lock), "lock-held"),
        (str(unlucky), "leftover-lock"),
    }
    assert (lock.exists(), unlucky.exists()) == (True, False)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "locked\n",
        "12 34\n",
        "{}",
        "999999999\nnode17.cluster\n",
        json.dumps({"pid": 999999999, "host": "node17"}),
        json.dumps({"pid": 999999999, "host": socket.gethostname(), "namespace": "pid:[1]"}),
    ],
)
def test_what_cannot_be_known_from_here_stays(run: Path, content: str) -> None:
    """A lock that names nobody may be held by its mere presence; another host's processes are out of sight."""
    lock = run / "job.lock"
    lock.write_text(content)
    done = _visit(run)
    assert (list(_codes(done)), lock.exists(), done.exit_code) == (["lock-held"], True, 0)


def test_a_lock_on_a_shared_file_system_that_names_no_host_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number may be that of a process on another host; with this host's name it is not.

    A file system of other hosts is not to be had in a test; the list of mounts says that this is one.
    """
    table = tmp_path / "mountinfo"
    table.write_text("36 35 0:9 / / rw - nfs4 filer:/home rw\n")
    monkeypatch.setattr(mounts, "_TABLE", table)
    nobody, ours = tmp_path / "nobody.lock", tmp_path / "ours.lock"
    nobody.write_text("999999999")
    ours.write_text(f"999999999\n{socket.gethostname()}\n")
    open_files = OpenFiles.look()
    assert LockFile.look_at(nobody, open_files).hold is Hold.UNKNOWN
    assert LockFile.look_at(ours, open_files).hold is Hold.GONE


def test_a_folder_and_a_link_are_looked_at_as_well(run: Path) -> None:
    """Locks that are folders name nobody; those that are links name their owner in the link."""
    folder, link, gone = run.parent / "dir.lock", run.parent / "link.lock", run.parent / "gone.lock"
    folder.mkdir()
    link.symlink_to(f"{socket.gethostname()}:{os.getpid()}")
    gone.symlink_to(f"{socket.gethostname()}:999999999")
    findings = _visit(run).findings
    assert {finding.path: finding.code for finding in findings} == {
        str(folder): "lock-held",
        str(link): "lock-held",
        str(gone): "leftover-lock",
    }
    assert (folder.exists(), link.is_symlink(), gone.is_symlink()) == (True, True, False)


def test_who_takes_the_lock_between_the_look_and_the_mending_keeps_it(tmp_path: Path) -> None:
    """The proof is made again at the moment of removing, while nobody else can take it."""
    lock = tmp_path / "sync.lock"
    lock.write_text("999999999")
    found = LockFile.look_at(lock, OpenFiles.look())
    assert found.hold is Hold.GONE
    with _holder("flock", lock), pytest.raises(OSError, match="unavailable"):
        found.remove()
    lock.write_text(str(os.getpid()))
    with pytest.raises(OSError, match="which runs"):
        found.remove()
    assert lock.exists()


def test_our_own_ledger_s_lock_is_told_while_a_sync_runs(run: Path) -> None:
    """A ledger that a process holds is a sync under way; the file of an owner that is gone is a leftover."""
    ledger_of(run).write_text("")
    with _holder("flock", ledger_of(run)) as holder:
        held = _codes(_visit(run))["lock-held"]
    assert (held.path, str(holder.pid) in held.evidence) == (str(ledger_of(run)), True)
    owner = ledger_of(run).with_name(ledger_of(run).name + ".owner")
    owner.write_text(Owner.me().text())
    assert (list(_codes(_visit(run))), owner.exists()) == (["lock-held"], True)
    owner.write_text(Owner(999999999, socket.gethostname(), 1.0, Owner.me().namespace).text())
    assert (list(_codes(_visit(run))), owner.exists()) == (["leftover-lock"], False)
