"""Ledger, checkpoint and receipt are told byte by byte: the program writes the files that the page shows."""

from __future__ import annotations

import hashlib
import json
import os
import re
import zlib
from base64 import b64decode, b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import backhaul
from backhaul.runs.directory import RunDirectory
from backhaul.runs.inspect import Inspection, inspect
from backhaul.runs.payloads import Digest
from backhaul.runs.rows import Stream
from backhaul.sync import checkpoint as checkpoint_module
from backhaul.sync.batch import BatchMaker
from backhaul.sync.checkpoint import Captures
from backhaul.sync.checkpoints import Checkpoints
from backhaul.sync.console_text import ConsoleText
from backhaul.sync.ledger import Ledger
from backhaul.sync.log_digest import LogDigest, sha256_of
from backhaul.sync.progress import (
    LogStamp,
    Progress,
    artifact_entry,
    begin_entry,
    completed_entry,
    files_entry,
    lines_entry,
    no_lines,
    verified_entry,
)
from backhaul.sync.receipt import Receipt, write_receipt
from backhaul.sync.signature import signer_of
from backhaul.sync.verify import Expected, Remote
from backhaul.wandblog import framing
from backhaul.wandblog.schema import HistoryRecord, Record
from backhaul.wandblog.window import LOOKAHEAD
from tests.command import Backhaul, copy_of
from tests.long_logs import framed

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "internals" / "beside-the-run.md"
_TO = "https://wandb.example.org ada/cifar/mgrkoq0v"
_CONTENTS = {"config.yaml": b"lr:\n    value: 0.1\n", "output.log": b"training\n"}
_FILES = {
    name: Digest(len(content), b64encode(hashlib.md5(content).digest()).decode()) for name, content in _CONTENTS.items()
}
_ARTIFACT = ("QXJ0aWZhY3Q6MQ==", "d0f3ecd2c4f6e1b0c2a7a4c7a9f4a3de")
_LINES = {Stream.HISTORY: 2000, Stream.EVENTS: 0, Stream.OUTPUT: 1}
_WHEN = 1_795_380_051_000_000_000
_RECEIPT = "/scratch/ada/.local/state/backhaul/receipts/wandb.example.org/ada/cifar/mgrkoq0v-{}.json"


def _told(name: str) -> bytes:
    """The bytes of the page's table of that name; each row says where they begin and how many they are."""
    text = _PAGE.read_text(encoding="utf-8").partition(f"<!-- bytes of: {name} -->\n")[2]
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert table, f"there are no bytes of {name}"
    found = b""
    for row in table[0].splitlines()[2:]:
        at, length, shown, _ = (cell.strip() for cell in row.strip("|").split("|"))
        part = shown.strip("`").replace("↵", "\n").replace("·", " ").encode()
        assert (int(at), int(length)) == (len(found), len(part)), row
        found += part
    return found


def _log() -> bytes:
    """The log of the page's run: a line of the console, and many rows."""
    header, run, text = Record(), Record(), Record()
    header.header.version_info.producer = "0.31.0"
    run.run.run_id, run.run.project, run.run.entity = "mgrkoq0v", "cifar", "ada"
    run.run.config.update.add(key="lr", value_json=b"0.1")
    run.run.start_time.seconds = _WHEN // 10**9
    text.output_raw.output_type = 1
    text.output_raw.line, text.output_raw.timestamp.seconds = "training\n", _WHEN // 10**9
    rows = [Record(history=_history({"_step": step, "loss": 0.5})) for step in range(_LINES[Stream.HISTORY])]
    return framed([header, run, text, *rows])


def _history(row: dict[str, float]) -> bytes:
    history = HistoryRecord()
    for key, value in row.items():
        history.item.add(nested_key=[key], value_json=json.dumps(value).encode())
    data: bytes = history.SerializeToString()
    return data


@pytest.fixture
def run(tmp_path: Path) -> Inspection:
    """The run of the page."""
    log = tmp_path / "offline-run-20261122_194051-mgrkoq0v" / "run-mgrkoq0v.wandb"
    log.parent.mkdir()
    log.write_bytes(_log())
    os.utime(log, ns=(_WHEN, _WHEN))
    return inspect(RunDirectory(log.parent, log))


def _ledger_of(run: Inspection, state: Path) -> Path:
    """The ledger of a sync to its end."""
    log = run.directory.log
    with Ledger.open(log, state) as ledger:
        ledger.record(_TO, begin_entry(no_lines(), no_lines(), 0, True))
        ledger.record(_TO, lines_entry(_LINES))
        ledger.record(_TO, files_entry(_FILES))
        ledger.record(_TO, artifact_entry(0, *_ARTIFACT))
        ledger.record(_TO, completed_entry(True))
        receipt = _RECEIPT.format(sha256_of(log, run.size)[:12])
        ledger.record(_TO, verified_entry(LogStamp.of(log), receipt, "ada", "cifar"))
        return ledger.path


def _receipt_of(run: Inspection, state: Path) -> Path:
    """The receipt of that sync, signed with the key of the page."""
    state.mkdir()
    (state / "receipt-key").write_bytes(_told("the key"))
    summary, config = '{"_step":1999,"loss":0.5}', '{"lr":{"value":0.1}}'
    last = '{"_step":1999,"loss":0.5}'
    expected = Expected(_LINES, last, summary, config, _FILES, dict([_ARTIFACT]), finished=True)
    remote = Remote(_LINES, [last], summary, config, {}, {}, "finished")
    receipt = Receipt(
        url="https://wandb.example.org",
        entity="ada",
        project="cifar",
        run_id="mgrkoq0v",
        log=Path("/scratch/ada/cifar/wandb/offline-run-20261122_194051-mgrkoq0v/run-mgrkoq0v.wandb"),
        log_size=run.size,
        log_digest=sha256_of(run.directory.log, run.size),
        verified_at="2026-11-22T19:40:58+00:00",
        expected=expected,
        remote=remote,
    )
    return write_receipt(receipt, state)


def _checkpoint_of(run: Inspection, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The checkpoint that is taken behind the second row."""
    monkeypatch.setattr(backhaul, "__version__", "0.2.0")
    monkeypatch.setattr(checkpoint_module, "LEAST_BYTES_BETWEEN", 0)
    monkeypatch.setattr(checkpoint_module, "_TIMES_ITS_SIZE", 0)  # where it is taken is no matter of its length
    monkeypatch.setattr(framing, "_FIRST_READ", LOOKAHEAD + 200)
    monkeypatch.setattr(framing, "_READ", 1000)
    ledger = run.directory.log.with_name(run.directory.log.name + ".backhaul")
    with ConsoleText() as text:
        captures = Captures(run.identity.run_id, 0, LogDigest())
        maker = BatchMaker(run.directory.log, run.identity, True, 0, text, captures=captures)
        checkpoints = Checkpoints(run, ledger, text)
        while (batch := maker.next()) is not None:
            if checkpoints.is_news(batch.checkpoint):
                checkpoints.write(batch.checkpoint)
            checkpoints.keep(Progress(begun=True, lines=batch.next))
        assert checkpoints.newest is not None
    return ledger.with_name(ledger.name + ".checkpoint")


def test_the_ledger_of_the_page_is_what_the_program_writes(run: Inspection, tmp_path: Path) -> None:
    """To the byte; each entry has its checksum."""
    written = _ledger_of(run, tmp_path / "state").read_bytes()
    assert written == _told("the ledger")
    for line in written.splitlines():
        assert line[:8] == f"{zlib.crc32(line[9:]):08x}".encode()


def test_the_checkpoint_of_the_page_is_what_the_program_writes(
    run: Inspection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the byte; its first line is the digest of the others, and the page tells of the log what is so."""
    path = _checkpoint_of(run, monkeypatch)
    written = path.read_bytes()
    assert written == _told("the checkpoint"), written.decode()
    digest, _, rest = written.partition(b"\n")
    head = json.loads(rest.splitlines()[0])
    assert digest == hashlib.sha256(rest).hexdigest().encode()
    assert head["log"]["sha256"] == sha256_of(run.directory.log, head["log"]["size"])
    place = f"when {head['log']['size']:,} bytes of the log had been looked at and {head['lines']['history']} rows made"
    assert place in _PAGE.read_text()
    assert not path.with_name(path.name.replace(".checkpoint", ".console")).exists()


def test_the_receipt_of_the_page_is_what_the_program_writes(run: Inspection, tmp_path: Path) -> None:
    """To the byte; what is signed is the text without the signature, and the page has the key's fingerprint."""
    path = _receipt_of(run, tmp_path / "state")
    written = path.read_bytes()
    assert written == _told("the receipt")
    assert path.name == Path(_RECEIPT.format(sha256_of(run.directory.log, run.size)[:12])).name
    signature = re.search(rb'"signature":\{.*?\},', written)
    assert signature is not None
    signed = written.replace(signature[0], b"").removesuffix(b"\n")
    member = json.loads(signature[0].removesuffix(b",").partition(b":")[2])
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(_told("the key").decode()))
    assert b64decode(member["value"]) == key.sign(signed)
    assert f"`{signer_of(json.loads(written))}`" in _PAGE.read_text()


def test_a_sync_writes_entries_and_receipts_of_these_members(tmp_path: Path) -> None:
    """What the examples show is what comes of a real run and a real server, and nothing is left out."""
    log = copy_of("0.31.0", tmp_path)
    command = Backhaul({"HOME": str(tmp_path), "PATH": os.defpath}, tmp_path)
    receipt = Path(command.sync(tmp_path / "wandb", "--to", "depot").only["receipt"])
    assert _members(receipt.read_bytes()) == _members(_told("the receipt"))
    ledger = next(log.glob("*.wandb.backhaul")).read_bytes()
    told = dict(map(_entry, _told("the ledger").splitlines()))
    del told["artifact"]  # the recorded run has none
    assert dict(map(_entry, ledger.splitlines())) == told


def _members(receipt: bytes) -> list[tuple[str, list[str]]]:
    """The receipt's members, with those of the ones that have always the same."""
    named = ("destination", "lines", "log", "signature")
    return [(name, list(value) if name in named else []) for name, value in json.loads(receipt).items()]


def _entry(line: bytes) -> tuple[str, list[str]]:
    entry = json.loads(line[9:])
    return entry["what"], list(entry)
