"""Keys of others whose receipts this user believes: fingerprints, a line each, with the day on which that was said."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from backhaul.errors import UnknownSigner
from backhaul.runs.new_file import new_file
from backhaul.sync.signature import own_fingerprint

_FILE = "trusted-keys"


def check_trusted(signer: str, state_folder: Path, signed_by: str | None) -> None:
    """Raises UnknownSigner unless the key is the user's own, named as `signed_by`, or was named so before.

    A signature proves who wrote a receipt, if one knows whose key it is. That a stranger's key signed it proves nothing
    about a server: everybody who has the log can write such a receipt.
    """
    wanted = signed_by.strip().lower() if signed_by else None
    if wanted is not None and wanted != signer:
        raise UnknownSigner(f"It was signed with the key {signer}, and not with {wanted}.")
    if signer == own_fingerprint(state_folder) or signer in trusted_keys(state_folder):
        return
    if wanted is None:
        raise UnknownSigner(
            f"It was signed with the key {signer}, which you have not named before. That its signature holds says only "
            "that whoever has this key wrote it."
        )
    trust(signer, state_folder)


def trusted_keys(state_folder: Path) -> frozenset[str]:
    """The fingerprints that were named before."""
    try:
        lines = (state_folder / _FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return frozenset()
    return frozenset(line.split()[0] for line in lines if line.strip())


def trust(signer: str, state_folder: Path) -> None:
    """Believe this key from now on. Raises what `new_file` raises."""
    path = state_folder / _FILE
    state_folder.mkdir(parents=True, exist_ok=True)
    before = path.read_bytes() if path.exists() else b""
    with new_file(path, replace=True) as file:
        file.write(before + f"{signer} {datetime.now(UTC).date().isoformat()}\n".encode())
