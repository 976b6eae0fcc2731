"""A receipt, long after: is it what was written, and does the destination still hold what it says?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backhaul.errors import UnreadableFile, UsageError, VerificationFailed
from backhaul.runs.payloads import Digest
from backhaul.runs.stream import NUMBERED
from backhaul.sync.read_back import read_back
from backhaul.sync.retry import Retrier
from backhaul.sync.signature import signer_of
from backhaul.sync.verify import Expected
from backhaul.wire.remote import RunAddress
from backhaul.wire.server import Server


@dataclass(frozen=True, slots=True)
class ReceiptOnFile:
    """A receipt that was read; `signer` is the fingerprint of the key that signed it."""

    path: Path
    document: dict[str, Any]
    signer: str

    @property
    def url(self) -> str:
        """The server that it is about."""
        return str(self.document["destination"]["url"])

    @property
    def address(self) -> RunAddress:
        """The run that it is about."""
        there = self.document["destination"]
        return RunAddress(there["entity"], there["project"], there["run_id"])

    def expected(self) -> Expected:
        """What the destination must still hold by it. Receipts of before had neither config nor last step."""
        content = self.document
        step = content.get("last_step")
        return Expected(
            lines={stream: content["lines"][stream.name.lower()] for stream in NUMBERED},
            last_line=None if step is None else json.dumps({"_step": step}),
            summary=json.dumps(content["summary"]),
            config=json.dumps({key: {"value": value} for key, value in content.get("config", {}).items()}),
            files={name: Digest(file["size"], file["md5"]) for name, file in content["files"].items()},
            artifacts=content["artifacts"],
            finished=content["state"] != "running",
        )


def read_receipt(path: Path) -> ReceiptOnFile:
    """The receipt at `path`.

    Raises UnreadableFile, UsageError for what is none, VerificationFailed for one that was changed.
    """
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageError(f"{path} is no receipt: it is not JSON.") from error
    if not isinstance(document, dict) or "receipt" not in document:
        raise UsageError(
            f"{path} is no receipt.", next="Receipts lie in your state folder; `backhaul sync` names each."
        )
    signer = signer_of(document)
    if signer is None:
        raise VerificationFailed(
            f"{path} has no valid signature: it was changed after it was written, or has none.",
            next="Do not rely on it; run `backhaul verify` on the run directory for a new one.",
        )
    receipt = ReceiptOnFile(path, document, signer)
    try:
        receipt.expected(), receipt.address, receipt.url
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is signed, and no receipt: {error!r}.") from error
    return receipt


async def check_receipt(receipt: ReceiptOnFile, server: Server, retrier: Retrier) -> None:
    """Ask the destination again. Raises VerificationFailed when it no longer holds what the receipt says."""
    differences, _ = await read_back(server, receipt.address, receipt.expected(), retrier, 0)
    if differences:
        told = "; ".join(map(str, differences))
        raise VerificationFailed(f"{receipt.address} is no longer as the receipt has it: {told}.")
