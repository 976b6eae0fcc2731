"""What may be deleted, and what must never be: each case with a run that was really sent to a depot and read back."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import backhaul
from backhaul import errors
from backhaul.clean.clearing import clear, finish_interrupted, judge
from backhaul.clean.extent import extent_of
from backhaul.clean.removal import withdraw
from backhaul.clean.verdict import Clearing, Fate, Verdict
from backhaul.runs.find import find_runs
from backhaul.sync.connection import Connection, connected
from backhaul.sync.ledger import Ledger
from backhaul.sync.options import SyncOptions
from backhaul.sync.progress import LogStamp
from backhaul.sync.retry import Patience
from backhaul.sync.signature import signed
from backhaul.sync.state_folder import state_folder
from backhaul.sync.target import Target
from backhaul.wandblog import LogReader
from backhaul.wandblog.writer import LogWriter

from ...command import copied, copy_of, ledger_of, log_of
from ...conftest import DepotProcess
from ...depot_client import Client


@dataclass(frozen=True)
class Cleaner:
    """The use case of the command, in this process, for runs in one project of the session's depot."""

    project: str

    def judge(self, folder: Path, *, deep: bool = False, server: str | None = None) -> list[Verdict]:
        """The verdicts on all runs under `folder`; with `server` the destination is looked for at that address."""
        runs = find_runs([folder], env={}, cwd=folder)

        async def asked(there: Connection) -> list[Verdict]:
            async with there.server() as server:
                return await judge(runs, server=server, destination=there.destination, options=self.options, deep=deep)

        with connected(Target(project=self.project, timeout=60)) as there:
            to = replace(
                there.destination, name=there.destination.base_url, base_url=server or there.destination.base_url
            )
            return asyncio.run(asked(replace(there, destination=to)))

    def clean(self, folder: Path) -> list[Verdict]:
        """Judge, then delete what is proven."""
        return clear(self.judge(folder), self.options)

    def kept(self, folder: Path) -> str:
        """Clean what is under `folder`, which must stay to its last byte; the reason for the first run."""
        before = _everything(folder)
        verdict, *others = self.clean(folder)
        assert {run.fate for run in (verdict, *others)} == {Fate.KEPT}
        assert _everything(folder) == before
        assert verdict.error is not None
        return verdict.error.message

    @property
    def options(self) -> SyncOptions:
        return SyncOptions(state_folder=state_folder(), read_back_for=0, patience=Patience(unreachable=0.1))


def _everything(folder: Path) -> dict[str, object]:
    """Each entry with its content, but for ledgers and markers, which a reading-back writes."""
    return {
        str(path.relative_to(folder)): path.readlink() if path.is_symlink() else path.is_file() and path.read_bytes()
        for path in folder.rglob("*")
        if not path.name.endswith((".backhaul", ".synced"))
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, depot: DepotProcess) -> Iterator[Path]:
    """The user's home for all tests here: the depot is the server, keys and receipts lie below."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("HOME", home), ("WANDB_BASE_URL", depot.url), ("WANDB_API_KEY", depot.api_key)):
            patch.setenv(name, str(value))
        for name in ("XDG_STATE_HOME", "WANDB_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR"):
            patch.delenv(name, raising=False)
        patch.chdir(home)
        yield home


@pytest.fixture(scope="module")
def delivered(home: Path, healthy_original: Path) -> tuple[Path, Cleaner]:
    """A run that was sent and read back, never to be cleaned where it lies; its project's cleaner."""
    run, project = copied(healthy_original, home / "delivered"), f"p-{uuid4().hex[:12]}"
    assert backhaul.sync(run, project=project).verified
    return run, Cleaner(project)


@pytest.fixture
def cleaner(delivered: tuple[Path, Cleaner]) -> Cleaner:
    return delivered[1]


@pytest.fixture
def run(delivered: tuple[Path, Cleaner], tmp_path: Path) -> Path:
    """A copy of the delivered run with its ledger, made as `cp -a` makes it."""
    return copied(delivered[0], tmp_path)


def _receipt(run: Path) -> Path:
    with Ledger.open(log_of(run), state_folder()) as ledger:
        (known,) = ledger._progress.values()
    assert known.receipt is not None
    return Path(known.receipt)


def test_a_proven_run_goes_whole_and_its_receipt_stays(run: Path, cleaner: Cleaner, tmp_path: Path) -> None:
    """Judging deletes nothing; then the directory is gone, and what its links led to, and the receipt, are not."""
    target = (run / "files" / "saved.txt").readlink()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "dataset").write_text("not ours")
    (run / "logs" / "data").symlink_to(outside)
    (verdict,) = cleaner.judge(tmp_path, deep=True)
    assert (verdict.fate, run.exists()) == (Fate.PROVEN, True)
    receipt = _receipt(run)
    (verdict,) = cleaner.clean(tmp_path)
    assert (verdict.fate, verdict.error, list(run.parent.iterdir())) == (Fate.DELETED, None, [])
    assert (target.read_text(), (outside / "dataset").read_text()) == ("saved " * 500, "not ours")
    assert verdict.receipt == receipt
    assert json.loads(receipt.read_text())["log"]["size"] > 0


def test_what_is_freed_is_what_the_disk_gets_back(run: Path, cleaner: Cleaner, tmp_path: Path) -> None:
    """As `du` counts it; a file that has a second name elsewhere frees nothing."""
    (weights,) = (run / "logs").glob("debug.log")
    weights.write_bytes(bytes(300_000))
    (tmp_path / "second-name").hardlink_to(weights)
    used = int(subprocess.check_output(["du", "-s", "-B1", run]).split()[0])
    top = run.stat().st_blocks * 512
    verdicts = cleaner.clean(tmp_path)
    assert Clearing(tuple(verdicts)).freed == used - top - (tmp_path / "second-name").stat().st_blocks * 512


def _records(log: Path) -> list[bytes]:
    return [data for batch in LogReader(log).batches() for data in batch.datas]


def _flip_a_byte_and_hide_it(run: Path) -> None:
    """In the middle of a record's data: in its header, one may cost nothing."""
    log = log_of(run)
    status, data, records = log.stat(), bytearray(log.read_bytes()), list(LogReader(log))
    start, end = (records[len(records) // 2 + later].offset for later in (0, 1))
    data[(start + end) // 2] ^= 0xFF
    log.write_bytes(data)
    os.utime(log, ns=(status.st_atime_ns, status.st_mtime_ns))


def _another_log_of_the_same_size_and_time(run: Path) -> None:
    """Whole and valid: the config's 0.1 is a 0.2, which the destination alone would tell."""
    log = log_of(run)
    status = log.stat()
    records = [record.replace(b"Healthy one", b"Healthy 1st") for record in _records(log)]
    with log.open("wb") as file:
        writer = LogWriter(file)
        for record in records:
            writer.write(record)
    os.utime(log, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert LogStamp.of(log).size == status.st_size


def _append_to_the_log(run: Path) -> None:
    with log_of(run).open("ab") as file:
        file.write(b"more")


def _change_what_the_link_leads_to(run: Path) -> None:
    saved = run / "files" / "saved.txt"
    saved.unlink()
    saved.write_text("changed")


def _write(path: str) -> Callable[[Path], None]:
    def write(run: Path) -> None:
        (run / path).write_text("mine")

    return write


def _a_folder_that_is_a_link(run: Path) -> None:
    (run / "files").rename(run.parent.parent / "files-elsewhere")
    (run / "files").symlink_to(run.parent.parent / "files-elsewhere")


def _a_pipe(run: Path) -> None:
    os.mkfifo(run / "files" / "pipe")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_flip_a_byte_and_hide_it, "differs|is not the one"),
        (_another_log_of_the_same_size_and_time, "is not the one"),
        (_append_to_the_log, "log has changed"),
        (_change_what_the_link_leads_to, "saved.txt"),
        (_write("files/dropped.txt"), "dropped.txt was not sent"),
        (_write("notes.txt"), "notes.txt was not sent"),
        (_write("run-other.wandb"), "was not sent"),
        (_a_folder_that_is_a_link, "was not sent"),
        (_a_pipe, "was not sent"),
        (lambda run: ledger_of(run).unlink(), "Nobody has read"),
    ],
)
def test_a_run_that_is_not_what_was_read_back_stays(
    run: Path, cleaner: Cleaner, tmp_path: Path, change: Callable[[Path], None], told: str
) -> None:
    """Changed log, changed, new or foreign files, no ledger: nothing is deleted, and the reason is told."""
    change(run)
    assert re.search(told, cleaner.kept(tmp_path))


@contextmanager
def _other_content(receipt: Path, content: bytes | None) -> Iterator[None]:
    original = receipt.read_bytes()
    receipt.unlink()
    if content is not None:
        receipt.write_bytes(content)
    try:
        yield
    finally:
        receipt.write_bytes(original)


def test_a_receipt_that_is_forged_or_gone_proves_nothing(run: Path, cleaner: Cleaner, tmp_path: Path) -> None:
    """Changed by a byte, signed with a stranger's key, or deleted: the run stays before anybody is asked."""
    receipt = _receipt(run)
    document: dict[str, Any] = json.loads(receipt.read_bytes())
    by_a_stranger = signed(document, tmp_path / "stranger")
    for content, told in (
        (receipt.read_bytes().replace(b'"history":300', b'"history":301'), "no valid signature"),
        (json.dumps(by_a_stranger).encode(), "a key that is not yours"),
        (None, "cannot be read"),
    ):
        with _other_content(receipt, content):
            assert told in cleaner.kept(tmp_path / "wandb")


def test_the_destination_has_the_last_word(
    home: Path, healthy_original: Path, depot: DepotProcess, tmp_path: Path
) -> None:
    """The run is deleted on the server after it was verified: it stays here, and is no longer called verified."""
    cleaner = Cleaner(f"p-{uuid4().hex[:12]}")
    run = copied(healthy_original, tmp_path)
    assert backhaul.sync(run, project=cleaner.project).verified
    client = Client(depot.url, depot.api_key)
    found = client.run_field(cleaner.project, "healthy", "id")
    gone = client.query("mutation($i:ID!){deleteRun(input:{id:$i}){clientMutationId}}", {"i": found["id"]})
    assert "errors" not in gone.json
    assert "is not at the destination" in cleaner.kept(tmp_path)
    assert not backhaul.sync(run, project=cleaner.project).verified
    del home


def test_a_server_that_is_away_saves_the_run(run: Path, cleaner: Cleaner, tmp_path: Path) -> None:
    """Nobody confirms, nothing goes; the exit code says that later will help."""
    before = _everything(run)
    verdicts = cleaner.judge(tmp_path, server="http://127.0.0.1:1")
    assert Clearing(tuple(verdicts)).exit_code == 5
    assert clear(verdicts, cleaner.options)[0].fate is Fate.KEPT
    assert _everything(run) == before


def test_what_somebody_holds_stays(run: Path, cleaner: Cleaner, tmp_path: Path) -> None:
    """Any file of the run open for writing in another process, or its ledger locked by another sync."""
    hold = "import sys; f = open(sys.argv[1], 'ab'); print(flush=True); input()"
    held = run / "logs" / "debug-internal.log"
    with subprocess.Popen([sys.executable, "-c", hold, held], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        assert "open for writing" in cleaner.kept(tmp_path)
        writer.kill()
    with ledger_of(run).open("ab") as ledger:
        fcntl.flock(ledger, fcntl.LOCK_EX)
        assert "Another process is syncing this run" in cleaner.kept(tmp_path)
    assert cleaner.clean(tmp_path)[0].fate is Fate.DELETED


def test_a_change_after_the_verdict_is_seen(run: Path, cleaner: Cleaner, tmp_path: Path) -> None:
    """Between the question to the user and the deletion the run is looked at once more."""
    verdicts = cleaner.judge(tmp_path)
    (run / "files" / "late.txt").write_text("late")
    (verdict,) = clear(verdicts, cleaner.options)
    assert (verdict.fate, run.exists()) == (Fate.KEPT, True)


def test_a_run_beside_a_proven_one_is_not_touched(run: Path, cleaner: Cleaner, tmp_path: Path) -> None:
    """Only the proven directory goes; that others are not home yet is nothing wrong."""
    pending = copy_of("0.31.0", tmp_path)
    before = _everything(pending)
    verdicts = cleaner.clean(tmp_path)
    assert sorted(verdict.fate for verdict in verdicts) == [Fate.DELETED, Fate.KEPT]
    assert (_everything(pending), run.exists(), Clearing(tuple(verdicts)).exit_code) == (before, False, 0)


def test_a_row_that_was_never_sent_keeps_its_run(home: Path, healthy_original: Path, tmp_path: Path) -> None:
    """A row that no server takes is in the log alone: neither a sync nor verify calls such a run verified."""
    cleaner, run = Cleaner(f"p-{uuid4().hex[:12]}"), copied(healthy_original, tmp_path)
    log = log_of(run)
    records = _records(log)
    with log.open("wb") as file:
        writer = LogWriter(file)
        for record in records:
            # The loss of one row becomes what is no JSON.
            writer.write(record.replace(b"0.0625", b"0,0625", 1))
    assert backhaul.sync(run, project=cleaner.project).exit_code == 6
    assert backhaul.verify(run, project=cleaner.project).exit_code == 6
    assert "Nobody has read" in cleaner.kept(tmp_path)
    del home


def test_what_a_crash_left_is_neither_a_run_nor_forgotten(run: Path, cleaner: Cleaner, tmp_path: Path) -> None:
    """Killed after the first step: no command takes the rest for a run, and the next cleaning finishes it."""
    (found,) = find_runs([run], env={}, cwd=tmp_path)
    left = withdraw(found, extent_of(found))
    with pytest.raises(backhaul.BackhaulError, match="No offline run was found"):
        find_runs([tmp_path], env={}, cwd=tmp_path)
    stranger = left.with_name(".backhaul-removing-something-else")
    shutil.copytree(left, stranger, symlinks=True)
    link = left.with_name(".backhaul-removing-offline-run-20260101_000000-link")
    link.symlink_to(tmp_path)
    assert finish_interrupted([run.parent]) == [left]
    assert (left.exists(), stranger.exists(), link.is_symlink()) == (False, True, True)
    del cleaner


@pytest.mark.parametrize("what", ["a new file", "a longer log", "another content", "a file less"])
def test_what_changes_between_the_proof_and_the_deletion_stays(healthy: Path, what: str) -> None:
    """The directory has its name again, with everything that somebody put in while it was looked at."""
    (found,) = find_runs([healthy], env={}, cwd=healthy)
    saved = found.files / "saved.txt"
    saved.unlink()
    saved.write_text("as it was proved")
    os.utime(saved, (1, 1))  # some file systems know times by hundredths of a second
    proved = extent_of(found)
    if what == "a new file":
        (found.files / "new.txt").write_text("only here")
    elif what == "a longer log":
        with found.log.open("ab") as log:
            log.write(b"more")
    elif what == "another content":
        saved.write_text("as it is by now!")
    else:
        saved.unlink()
    before = _everything(healthy)
    with pytest.raises(errors.NotProven, match="changed"):
        withdraw(found, proved)
    assert _everything(healthy) == before
