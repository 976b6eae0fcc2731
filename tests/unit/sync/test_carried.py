"""Receipts that were carried back: believed only if the key is known and everything here is what they are about."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backhaul.clean.clearing import clear, judge_by_carried_receipts
from backhaul.clean.verdict import Fate
from backhaul.errors import BackhaulError, ReceiptRefused, RunBusy, UnknownSigner, UsageError, VerificationFailed
from backhaul.runs.directory import RunDirectory
from backhaul.runs.payloads import Payload, digest_of
from backhaul.sync.carried import CARRIED, import_receipt
from backhaul.sync.ledger import Ledger, read_ledger
from backhaul.sync.log_digest import sha256_of
from backhaul.sync.options import SyncOptions
from backhaul.sync.progress import LogStamp, verified_entry
from backhaul.sync.receipt import keep_receipt
from backhaul.sync.signature import made_fingerprint, signed, signer_of
from backhaul.sync.standing import Step, standings
from backhaul.sync.trusted_keys import trust, trusted_keys

from ...command import Backhaul, copy_of, log_of

Change = Callable[[dict[str, Any]], object]


@dataclass(frozen=True)
class Gap:
    """Two sides: a run on the near one, and a key of the far one that the near one believes."""

    top: Path
    run: RunDirectory

    @property
    def near(self) -> Path:
        """The state folder here."""
        return self.top / "near"

    @property
    def far(self) -> Path:
        """The state folder of the other side."""
        return self.top / "far"

    def document(self) -> dict[str, Any]:
        """The receipt of this run as a sync on the far side would write it."""
        files = {}
        for path in sorted(path for path in self.run.files.rglob("*") if path.is_file()):
            digest = digest_of(Payload("", path))
            files[path.relative_to(self.run.files).as_posix()] = {"size": digest.size, "md5": digest.md5}
        size = self.run.log.stat().st_size
        digest = sha256_of(self.run.log, size)
        return {
            "receipt": 1,
            "destination": {"url": "https://far.invalid", "entity": "ada", "project": "p", "run_id": "rec-0310"},
            "log": {"path": f"/far/{self.run.log.name}", "size": size, "sha256": digest},
            "verified_at": "2026-01-01T00:00:00+00:00",
            "lines": {"history": 1, "events": 0, "output": 0},
            "state": "finished",
            "summary": {},
            "config_keys": [],
            "quarantined": [],
            "left_out": [],
            "artifacts": {},
            "files": files,
        }

    def receipt(self, change: Change = dict, signer: Path | None = None) -> Path:
        """That receipt in a file, changed before it was signed."""
        document = self.document()
        change(document)
        path = self.top / "receipt.json"
        path.write_text(json.dumps(signed(document, signer or self.far)))
        return path

    def imported(self, path: Path, signed_by: str | None = None) -> Path:
        """Import it; where it is kept."""
        return import_receipt(path, [self.run], self.near, signed_by).receipt

    def is_as_before(self) -> bool:
        """Whether nothing says of the run that it is home."""
        known = read_ledger(self.run.log, self.near).values()
        return not any(each.verified for each in known) and not self.run.synced_marker.exists()


@pytest.fixture
def backhaul(isolated_env: dict[str, str], tmp_path: Path) -> Backhaul:
    """The command of a user with nothing."""
    return Backhaul(isolated_env, tmp_path)


@pytest.fixture
def gap(tmp_path: Path) -> Gap:
    """A recorded run, and a far side whose key is known here."""
    run = copy_of("0.31.0", tmp_path)
    gap = Gap(tmp_path, RunDirectory(run, log_of(run)))
    trust(made_fingerprint(gap.far), gap.near)
    return gap


def test_a_receipt_of_this_very_run_closes_its_ledger(gap: Gap) -> None:
    """It is kept within one of the user's own; the run needs nothing more, and may be deleted by it."""
    kept = gap.imported(gap.receipt())
    document = json.loads(kept.read_text())
    assert signer_of(document) == made_fingerprint(gap.near)
    assert signer_of(document[CARRIED]["receipt"]) == made_fingerprint(gap.far)
    assert document["log"]["path"] == str(gap.run.log)
    (standing,) = standings([gap.run], gap.near)
    assert (standing.step, gap.run.synced_marker.exists()) == (Step.NOTHING, True)
    assert list(standing.destinations) == ["https://far.invalid ada/p/rec-0310"]
    options = SyncOptions(state_folder=gap.near)
    (verdict,) = judge_by_carried_receipts([gap.run], options)
    assert (verdict.fate, verdict.error) == (Fate.PROVEN, None)
    (cleared,) = clear([verdict], options)
    assert (cleared.fate, gap.run.path.exists(), kept.exists()) == (Fate.DELETED, False, True)


def _grown(gap: Gap) -> Path:
    receipt = gap.receipt()
    with gap.run.log.open("ab") as file:
        file.write(b"more")
    return receipt


def _other_log(gap: Gap) -> Path:
    return gap.receipt(lambda document: document["log"].update(sha256="0" * 64))


def _other_name_too(gap: Gap) -> Path:
    return gap.receipt(lambda document: document["log"].update(sha256="0" * 64, path="/far/run-else.wandb"))


def _shorter_log(gap: Gap) -> Path:
    receipt = gap.receipt()
    gap.run.log.write_bytes(gap.run.log.read_bytes()[:-1])
    return receipt


def _changed_file(gap: Gap) -> Path:
    receipt = gap.receipt()
    next(path for path in gap.run.files.rglob("*") if path.name == "requirements.txt").write_text("changed")
    return receipt


def _file_left_behind(gap: Gap) -> Path:
    return gap.receipt(lambda document: document["files"].pop("requirements.txt"))


def _quarantined(gap: Gap) -> Path:
    item = {"what": "artifact model", "reason": "gone", "next": ""}
    return gap.receipt(lambda document: document["quarantined"].append(item))


def _left_out(gap: Gap) -> Path:
    return gap.receipt(lambda document: document["left_out"].append("big.bin: excluded"))


def _damaged(gap: Gap) -> Path:
    content = bytearray(gap.run.log.read_bytes())
    content[2000] ^= 1
    gap.run.log.write_bytes(content)
    return gap.receipt()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (_grown, "has grown since"),
        (_other_log, "another log"),
        (_other_name_too, "no run here has its log"),
        (_shorter_log, "another log"),
        (_changed_file, "another content of the file requirements.txt"),
        (_file_left_behind, "does not have the file requirements.txt"),
        (_quarantined, "not at the destination: artifact model"),
        (_left_out, r"left out: big\.bin"),
        (_damaged, "is damaged"),
    ],
)
def test_a_receipt_about_anything_else_is_refused(gap: Gap, make: Callable[[Gap], Path], told: str) -> None:
    """With the reason; the run counts as before."""
    receipt = make(gap)
    with pytest.raises(ReceiptRefused, match=told):
        gap.imported(receipt)
    assert gap.is_as_before()


def test_a_run_that_is_written_is_not_closed(gap: Gap) -> None:
    """However equal it is at this moment."""
    with gap.run.log.open("ab"), pytest.raises(BackhaulError, match="is being written"):
        gap.imported(gap.receipt())
    assert gap.is_as_before()


def test_what_was_changed_after_it_was_signed_is_refused(gap: Gap) -> None:
    """Or has another's signature, or none."""
    path = gap.receipt()
    document = json.loads(path.read_text())
    for changed in (
        document | {"state": "crashed"},
        {name: value for name, value in document.items() if name != "signature"},
        gap.document() | {"signature": signed({}, gap.far)["signature"]},
    ):
        path.write_text(json.dumps(changed))
        with pytest.raises(VerificationFailed):
            gap.imported(path)
    assert gap.is_as_before()


def test_a_key_counts_once_it_was_named(gap: Gap) -> None:
    """A stranger's receipt proves nothing; named with its fingerprint it is believed, then and later."""
    stranger = gap.top / "stranger"
    path, key = gap.receipt(signer=stranger), made_fingerprint(stranger)
    with pytest.raises(UnknownSigner, match=key):
        gap.imported(path)
    with pytest.raises(UnknownSigner):
        gap.imported(path, made_fingerprint(gap.far))
    assert gap.is_as_before()
    assert key not in trusted_keys(gap.near)
    gap.imported(path, f" {key.upper()} ")
    assert trusted_keys(gap.near) == {key, made_fingerprint(gap.far)}
    gap.imported(path)


def test_the_users_own_key_needs_no_naming(gap: Gap) -> None:
    """Whoever carries his own key along is the same user on both sides."""
    gap.imported(gap.receipt(signer=gap.near))
    assert not gap.is_as_before()


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.pop("log"),
        lambda document: document["log"].update(size="7"),
        lambda document: document.update(files=[1]),
        lambda document: document["files"].update(x={"size": None, "md5": "y"}),
        lambda document: document.update(quarantined=None),
        lambda document: document["destination"].update(url=3),
        lambda document: document.update(destination="x"),
    ],
)
def test_what_has_not_the_form_of_a_receipt_is_none(gap: Gap, change: Change) -> None:
    """A signature holds over anything."""
    with pytest.raises(UsageError, match="no receipt"):
        gap.imported(gap.receipt(change))


def test_another_process_at_the_same_run_is_waited_for_by_the_user(gap: Gap) -> None:
    """While a sync has the ledger nothing is written into it."""
    receipt = gap.receipt()
    with Ledger.open(gap.run.log, gap.near), pytest.raises(RunBusy):
        gap.imported(receipt)
    assert gap.is_as_before()


def test_receipts_in_a_folder_may_be_of_others(gap: Gap, backhaul: Backhaul) -> None:
    """Of a folder what is about runs that lie elsewhere is passed over; named by itself it is an error."""
    folder = gap.top / "receipts"
    folder.mkdir()
    gap.receipt(lambda document: document["log"].update(path="/far/run-else.wandb")).rename(folder / "else.json")
    gap.receipt().rename(folder / "this.json")
    key = made_fingerprint(gap.far)
    line = ("receipt", "import", "--runs", gap.run.path, "--signed-by", key, "--json")
    done = backhaul(*line, folder)
    assert (done.exit_code, [each["file"] for each in done.document["receipts"]]) == (0, [str(folder / "this.json")])
    assert "1 receipt of runs that do not lie here" in done.stderr
    assert backhaul(*line, folder / "else.json").exit_code == 6


def test_cleaning_by_carried_receipts_asks_for_one(gap: Gap) -> None:
    """A receipt of another kind, none, or one of an older state does not do."""
    options = SyncOptions(state_folder=gap.near)
    (verdict,) = judge_by_carried_receipts([gap.run], options)
    assert (verdict.fate, verdict.error and verdict.error.code) == (Fate.KEPT, "not-proven")
    own = keep_receipt(gap.document(), gap.near)
    with Ledger.open(gap.run.log, gap.near) as ledger:
        ledger.record("there", verified_entry(LogStamp.of(gap.run.log), str(own), "ada", "p"))
    (verdict,) = judge_by_carried_receipts([gap.run], options)
    assert verdict.fate is Fate.KEPT
    kept = gap.imported(gap.receipt())
    document = json.loads(kept.read_text())
    document[CARRIED]["receipt"] = "changed"
    original = kept.read_text()
    kept.write_text(json.dumps(document))
    (verdict,) = judge_by_carried_receipts([gap.run], options)
    assert verdict.fate is Fate.KEPT
    kept.write_text(original)
    with gap.run.log.open("ab") as file:
        file.write(b"more")
    (verdict,) = judge_by_carried_receipts([gap.run], options)
    assert verdict.fate is Fate.KEPT
