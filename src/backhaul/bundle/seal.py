"""The seal of a bundle: its packer's signature over the manifest, and with it over the digest of every file.

A seal that holds says that the bundle is what the holder of that key packed, to the last byte. Whose key it is it does
not say: whoever changes a bundle can sign it anew, with a key of his own. Only a fingerprint that came by another way
than the bundle (`pack` prints it) turns "unchanged since it was signed" into "from whom I think it is".
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from backhaul.errors import UnknownSigner, VerificationFailed
from backhaul.sync.signature import signed, signer_of

_SEAL_SIZE = 4096


def seal_of(manifest: bytes, state_folder: Path) -> bytes:
    """The seal of this user over an encoded manifest. Raises OSError, and what `new_file` raises for the key."""
    document = {"bundle": 1, "manifest_sha256": hashlib.sha256(manifest).hexdigest()}
    return json.dumps(signed(document, state_folder), indent=1).encode() + b"\n"


def signer_of_bundle(manifest: bytes, seal: bytes) -> str:
    """The fingerprint of the key that sealed it. Raises VerificationFailed when the seal does not hold."""
    try:
        document = json.loads(seal) if len(seal) <= _SEAL_SIZE else {}
    except (ValueError, RecursionError):
        document = {}
    signer = signer_of(document) if isinstance(document, dict) else None
    if signer is None or document.get("manifest_sha256") != hashlib.sha256(manifest).hexdigest():
        raise VerificationFailed(
            "The signature of the bundle does not hold: it was changed after it was packed.",
            safe="Nothing of it was unpacked or sent.",
            next="Do not use it; get it again from where it was packed.",
        )
    return signer


def check_signer(signer: str | None, wanted: str | None) -> None:
    """Raises UnknownSigner when a certain key is asked for and this is another, or none."""
    if wanted is None or signer == wanted.strip().lower():
        return
    told = f"It was signed with the key {signer}" if signer else "It has no signature that can be read"
    raise UnknownSigner(f"{told}, and not with {wanted}.", next="Do not use it, unless you know why the keys differ.")
