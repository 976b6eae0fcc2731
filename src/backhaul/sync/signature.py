"""Signatures of receipts: a key of the user's own, made when it is first needed, and what it proves.

Ed25519 (RFC 8032) over the document's canonical form: JSON, UTF-8, members sorted, no spaces, without the member
`signature` itself. It proves that the holder of the key wrote exactly this; whose key it is, its fingerprint tells.
"""

from __future__ import annotations

import hashlib
import json
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backhaul.errors import UsageError
from backhaul.runs.new_file import new_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# The library of the signatures is loaded when there is one to make or to look at: most commands have neither.
_MEMBER = "signature"
_KEY_FILE = "receipt-key"


class NotAKey(UsageError):
    """The file of the user's key holds none."""


def signed(document: Mapping[str, Any], state_folder: Path) -> dict[str, Any]:
    """The document with the signature of this user's key.

    Raises OSError, and what `new_file` raises, when the key can be neither read nor made.
    """
    key = _key(state_folder / _KEY_FILE)
    signature = key.sign(_signable(document))
    public = key.public_key().public_bytes_raw()
    return {**document, _MEMBER: {"ed25519": _text(public), "value": _text(signature)}}


def signer_of(document: Mapping[str, Any]) -> str | None:
    """The fingerprint of the key that signed the document as it is; None when nothing did, or it was changed since."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    signature = document.get(_MEMBER)
    try:
        public = b64decode(signature["ed25519"], validate=True)  # type: ignore[index]
        value = b64decode(signature["value"], validate=True)  # type: ignore[index]
        Ed25519PublicKey.from_public_bytes(public).verify(value, _signable(document))
    except (InvalidSignature, KeyError, TypeError, ValueError):
        return None
    return _fingerprint(public)


def made_fingerprint(state_folder: Path) -> str:
    """The fingerprint of this user's key, which is made if there is none. Raises what `signed` raises."""
    return _fingerprint(_key(state_folder / _KEY_FILE).public_key().public_bytes_raw())


def own_fingerprint(state_folder: Path) -> str | None:
    """The fingerprint of this user's key; None when there is none yet."""
    path = state_folder / _KEY_FILE
    return _fingerprint(_key(path).public_key().public_bytes_raw()) if path.exists() else None


def _key(path: Path) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        return _read_key(path.read_text())
    except FileNotFoundError:
        pass
    except ValueError as error:
        raise NotAKey(f"{path} holds no key", next="Move that file away; then a new key is made.") from error
    key = Ed25519PrivateKey.generate()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with new_file(path) as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(key.private_bytes_raw().hex().encode() + b"\n")
    except UsageError:
        if not path.exists():
            raise
        # Another run of this sync, or another sync of this user, was first; its key is the one.
        return _key(path)
    return key


@lru_cache(1)
def _read_key(text: str) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(text.strip()))


def canonical(document: Mapping[str, Any]) -> bytes:
    """The one way to write a document: JSON, UTF-8, members sorted, no spaces.

    What is no Unicode, such as bytes of a path that are no UTF-8, stands there as JSON's escape, which UTF-8 has not.
    """
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode(errors="backslashreplace")


def _signable(document: Mapping[str, Any]) -> bytes:
    return canonical({key: value for key, value in document.items() if key != _MEMBER})


def _fingerprint(public: bytes) -> str:
    return hashlib.sha256(public).hexdigest()[:16]


def _text(data: bytes) -> str:
    return b64encode(data).decode()
