"""A receipt that was carried back: made on the far side of an air gap, of a copy of a run that lies here.

It is believed when its signature is by a key that the user knows, and when all that lies here is what it is about: the
log to the last byte, and every file. Then it is kept, whole, within a receipt of this user's own, and closes the
ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from backhaul.errors import PayloadMissing, ReceiptRefused, StillRecording, UsageError
from backhaul.runs.directory import RunDirectory
from backhaul.runs.open_files import is_open_for_writing
from backhaul.runs.payloads import MADE_FROM_LOG, Payload, digest_of, recorded_payloads
from backhaul.runs.reading import read_log
from backhaul.sync.ledger import Ledger
from backhaul.sync.log_digest import sha256_of
from backhaul.sync.marker import write_synced_marker
from backhaul.sync.progress import LogStamp, verified_entry
from backhaul.sync.receipt import keep_receipt
from backhaul.sync.receipt_check import ReceiptOnFile, read_receipt
from backhaul.sync.trusted_keys import check_trusted
from backhaul.wandblog import DamageKind

CARRIED = "carried"
_SUFFIX = "-carried"


class RunNotHere(ReceiptRefused):
    """It is about a run of which no log lies here."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A receipt that was believed: the run that it closes, where it is kept here, and whose key signed it."""

    directory: RunDirectory
    receipt: Path
    signer: str
    run: str

    def as_json(self) -> dict[str, Any]:
        """The form in `--json`."""
        told = {"path": str(self.directory.path), "receipt": str(self.receipt), "signer": self.signer}
        return {"run": self.run, **told}


def import_receipt(
    path: Path, directories: Sequence[RunDirectory], state_folder: Path, signed_by: str | None = None
) -> Imported:
    """Close the ledger of the run that the receipt at `path` is about, if it proves what lies here.

    Raises UsageError for what is no receipt, VerificationFailed for one that was changed, UnknownSigner, ReceiptRefused
    with the reason when it is about something else or less, StillRecording, and what reading and writing raise.
    """
    receipt = read_receipt(path)
    _check_form(receipt)
    directory = _run_of(receipt, directories)
    check_trusted(receipt.signer, state_folder, signed_by)
    _check_whole(receipt, directory)
    _check_files(receipt, directory)
    there = receipt.document["destination"]
    with Ledger.open(directory.log, state_folder) as ledger:
        stamp = _stamp_of(receipt, directory)
        kept = keep_receipt(_own(receipt, directory), state_folder, _SUFFIX)
        key = f"{receipt.url.rstrip('/')} {there['entity']}/{there['project']}/{there['run_id']}"
        ledger.record(key, verified_entry(stamp, str(kept), there["entity"], there["project"]))
        write_synced_marker(directory)
    return Imported(directory, kept, receipt.signer, str(receipt.address))


def receipts_in(paths: Iterable[Path]) -> list[Path]:
    """The files themselves, and every `.json` file below those that are folders."""
    found: list[Path] = []
    for path in paths:
        found += sorted(path.rglob("*.json")) if path.is_dir() else [path]
    return found


def _check_form(receipt: ReceiptOnFile) -> None:
    """A signature holds over anything; this is what a receipt consists of."""
    document = receipt.document
    try:
        there, log = document["destination"], document["log"]
        texts = [there[key] for key in ("url", "entity", "project", "run_id")] + [log["path"], log["sha256"]]
        sizes = [log["size"], *(file["size"] for file in document["files"].values())]
        texts += [file["md5"] for file in document["files"].values()]
        lists = [document["quarantined"], document["left_out"]]
        good = all(isinstance(text, str) for text in texts) and all(isinstance(size, int) for size in sizes)
        good = good and all(isinstance(each, list) for each in lists)
    except (KeyError, TypeError, AttributeError):
        good = False
    if not good:
        raise UsageError(f"{receipt.path} is no receipt of a form that is known here.")


def _run_of(receipt: ReceiptOnFile, directories: Sequence[RunDirectory]) -> RunDirectory:
    """The run directory whose log is the one that the receipt is about, by content. Raises ReceiptRefused."""
    log = receipt.document["log"]
    name = PurePosixPath(log["path"]).name
    # A log keeps its name wherever it is carried, so that of many runs only few are read.
    namesakes = [directory for directory in directories if directory.log.name == name]
    grown: RunDirectory | None = None
    for directory in namesakes:
        try:
            size = directory.log.stat().st_size
            if size < log["size"] or sha256_of(directory.log, log["size"]) != log["sha256"]:
                continue
        except OSError:
            continue
        if size == log["size"]:
            return directory
        grown = directory
    if grown is not None:
        raise ReceiptRefused(
            f"{receipt.path} is about the first {log['size']} bytes of {grown.log}, which has grown since."
        )
    if namesakes:
        raise ReceiptRefused(f"{receipt.path} is about another log than {namesakes[0].log}: their contents differ.")
    raise RunNotHere(
        f"{receipt.path} is about {receipt.address}, and no run here has its log.",
        next="Name the folder in which the run lies with --runs.",
    )


def _check_whole(receipt: ReceiptOnFile, directory: RunDirectory) -> None:
    """All of the run must be there, and the run at its end."""
    for item in receipt.document["quarantined"]:
        raise ReceiptRefused(f"{receipt.path} names what is not at the destination: {_what(item)}.")
    for item in receipt.document["left_out"]:
        raise ReceiptRefused(f"{receipt.path} names what was left out: {item}.")
    if is_open_for_writing(directory.log):
        raise StillRecording(f"{directory.log} is being written.")


def _what(item: Any) -> str:
    return str(item.get("what", item)) if isinstance(item, dict) else str(item)


def _check_files(receipt: ReceiptOnFile, directory: RunDirectory) -> None:
    """Every file of the run that lies here is one that the receipt has, the same."""
    reading = read_log(directory.log, directory.run_id_hint)
    if any(damage.kind is not DamageKind.NUMBER_GAP for damage in reading.condition.losses):
        raise ReceiptRefused(
            f"{directory.log} is damaged: the receipt is about what can be read of it.",
            next="Keep the run; a better copy of its log may bring the rest.",
        )
    sent = receipt.document["files"]
    for found in recorded_payloads(directory.files, reading.file_names, all_on_disk=reading.by_python_engine):
        if isinstance(found, PayloadMissing) or found.name in MADE_FROM_LOG:
            continue
        _check_file(receipt, found, sent.get(found.name))


def _check_file(receipt: ReceiptOnFile, found: Payload, sent: dict[str, Any] | None) -> None:
    if sent is None:
        raise ReceiptRefused(f"{receipt.path} does not have the file {found.name}, which lies here.")
    digest = digest_of(found)
    if (digest.size, digest.md5) != (sent["size"], sent["md5"]):
        raise ReceiptRefused(f"{receipt.path} has another content of the file {found.name} than lies here.")


def _stamp_of(receipt: ReceiptOnFile, directory: RunDirectory) -> LogStamp:
    """The log's stamp, while no other sync works on it. Raises ReceiptRefused when it has changed meanwhile."""
    log = receipt.document["log"]
    stamp = LogStamp.of(directory.log)
    if stamp.size != log["size"] or sha256_of(directory.log, stamp.size) != log["sha256"]:
        raise ReceiptRefused(f"{directory.log} has changed while it was looked at.")
    return stamp


def _own(receipt: ReceiptOnFile, directory: RunDirectory) -> dict[str, Any]:
    """A receipt of this user's own, which has the carried one in it as it came."""
    content = {name: value for name, value in receipt.document.items() if name != "signature"}
    log = {**receipt.document["log"], "path": str(directory.log)}
    imported_at = datetime.now(UTC).isoformat(timespec="seconds")
    return {**content, "log": log, CARRIED: {"imported_at": imported_at, "receipt": receipt.document}}
