"""Why a run directory may go: a receipt of this user's own, true to every byte that lies here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backhaul.clean.extent import Extent, extent_of
from backhaul.errors import BackhaulError, NotProven, PayloadMissing, StillRecording
from backhaul.runs.directory import RunDirectory, is_run_directory_name
from backhaul.runs.open_files import OpenFiles
from backhaul.runs.payloads import MADE_FROM_LOG, Payload, digest_of
from backhaul.sync.ledger import SUFFIX as LEDGER_SUFFIX
from backhaul.sync.log_digest import sha256_of
from backhaul.sync.progress import LogStamp, Progress
from backhaul.sync.receipt_check import ReceiptOnFile, read_receipt
from backhaul.sync.signature import own_fingerprint

_SYNC_FIRST = "Run `backhaul sync` on it; it sends what has changed, and writes a new receipt."


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a run directory's deletion, as far as it can be known without the network."""

    directory: RunDirectory
    stamp: LogStamp
    receipt: ReceiptOnFile
    extent: Extent

    @property
    def log_digest(self) -> str:
        """The SHA-256 of the log that the receipt is about."""
        return str(self.receipt.document["log"]["sha256"])


def evidence_for(
    directory: RunDirectory, known: Progress, state_folder: Path, open_files: OpenFiles | None = None
) -> Evidence:
    """The evidence of what the ledger knows of one destination, before any content is read.

    `open_files` is a look at the processes that serves many runs; without it they are looked at here.
    Raises NotProven, StillRecording, and what `read_receipt` raises for a receipt that is gone or was changed.
    """
    try:
        stamp = LogStamp.of(directory.log)
    except OSError as error:
        raise NotProven(f"{directory.log} cannot be looked at: {error.strerror or error}.") from error
    if not is_run_directory_name(directory.path.name):
        raise NotProven(f"{directory.path} is no run directory by its name.", next="Delete it by hand, if it may go.")
    if known.verified is None or known.receipt is None:
        raise NotProven("Nobody has read this run back from the destination.")
    if known.verified != stamp:
        raise NotProven("The log has changed since it was read back.", next=_SYNC_FIRST)
    _refuse_if_written(directory, open_files or OpenFiles.look())
    receipt = _own_receipt(Path(known.receipt), state_folder)
    extent = extent_of(directory)
    _account_for(extent, receipt.document["files"])
    return Evidence(directory, stamp, receipt, extent)


def check_contents(evidence: Evidence) -> None:
    """Hold every byte against the receipt. Raises NotProven when one is not what was read back, OSError."""
    log, told = evidence.directory.log, evidence.receipt.document["log"]
    if (evidence.stamp.size, sha256_of(log, evidence.stamp.size)) != (told["size"], told["sha256"]):
        raise NotProven("The log is not the one that the receipt is about.", next=_SYNC_FIRST)
    for name, sent in evidence.receipt.document["files"].items():
        path = evidence.extent.files.get(name)
        if path is None or name in MADE_FROM_LOG:
            continue
        try:
            digest = digest_of(Payload(name, path))
        except PayloadMissing:
            # A link whose target is gone: the content is at the destination, and nothing of it lies here.
            continue
        if (digest.size, digest.md5) != (sent["size"], sent["md5"]):
            raise NotProven(f"The file {name} has changed since it was sent.", next=_SYNC_FIRST)
    if LogStamp.of(log) != evidence.stamp:
        raise NotProven("The log has changed while it was looked at.", next=_SYNC_FIRST)


def _refuse_if_written(directory: RunDirectory, open_files: OpenFiles) -> None:
    below = f"{directory.path.resolve()}/"
    # The ledger has a lock of its own, and may be held by us.
    ledger = str(directory.log.resolve()) + LEDGER_SUFFIX
    written = sorted(path for path in open_files.written - {ledger} if path.startswith(below))
    if written:
        raise StillRecording(
            f"A process of this host has {written[0]} open for writing.",
            safe="Nothing of this run was deleted.",
            next="Run the same command again when it has ended.",
        )


def _own_receipt(path: Path, state_folder: Path) -> ReceiptOnFile:
    try:
        receipt = read_receipt(path)
    except BackhaulError as error:
        raise NotProven(f"The receipt does not count: {error.message}", next=_VERIFY_ANEW) from error
    if receipt.signer != own_fingerprint(state_folder):
        raise NotProven(f"{path} was signed with a key that is not yours.", next=_VERIFY_ANEW)
    if receipt.document["quarantined"] or receipt.document["left_out"]:
        raise NotProven(f"{path} names what is not at the destination.")
    return receipt


_VERIFY_ANEW = "Run `backhaul verify` on it for a receipt of your own."


def _account_for(extent: Extent, sent: Mapping[str, Any]) -> None:
    unknown = sorted(name for name in extent.files if name not in sent and name not in MADE_FROM_LOG)
    strangers = [*map(str, extent.strangers), *(str(extent.files[name]) for name in unknown)]
    if strangers:
        more = f" and {len(strangers) - 1} more" if len(strangers) > 1 else ""
        raise NotProven(
            f"{strangers[0]}{more} was not sent with this run, so it may be the only copy.",
            next="Move it away, then run the same command again.",
        )
