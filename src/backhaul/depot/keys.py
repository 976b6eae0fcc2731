"""The depot's secrets: the API key that clients show, and the secret that signs addresses and cookies."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

_KEY_BYTES = 20  # 40 hexadecimal characters: clients up to 0.22 accept no other length


Keep = Callable[[str, str], str]
"""Gives the secret of a name; the second text becomes it when there is none."""


class Secrets:
    """The two secrets of a depot, made at its first start and read ever after.

    The operator's key is kept as it is, because `backhaul depot key` and `--to depot` must read it: whoever can read
    it where it lies can read, and change, the whole store anyway. The keys of all others are kept as hashes
    (`store.users`).
    """

    def __init__(self, keep: Keep) -> None:
        self.api_key = keep("api-key", new_key())
        self.signing = bytes.fromhex(keep("signing-secret", secrets.token_hex(32)))

    @classmethod
    def in_folder(cls, folder: Path) -> Secrets:
        """Those in files of mode 0600 in `folder`. Raises OSError when they can be neither read nor made."""
        return cls(lambda name, fresh: _read_or_make(folder / name, fresh))


def new_key() -> str:
    """A key that nobody has: 160 random bits in hexadecimal."""
    return secrets.token_hex(_KEY_BYTES)


def hashed(key: str) -> bytes:
    """SHA-256. Keys are random and 160 bits long, so that neither salt nor a slow hash would add anything."""
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()


def shown_key(authorization: str) -> str | None:
    """The key in the value of an `Authorization` header: Basic `api:<key>` or Bearer; None when there is none."""
    scheme, _, value = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return value.strip() or None
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(value.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
    user, _, password = decoded.partition(":")
    return (password or None) if user == "api" else None


def _read_or_make(path: Path, fresh: str) -> str:
    """The secret in `path`, or `fresh` when there was none.

    A new one is written beside it and linked into place: nobody reads half of it, and two depots that start
    together agree on the one that came first.
    """
    if not path.exists():
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(fresh + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another depot was first; its secret counts
        finally:
            draft.unlink()
    return path.read_text(encoding="ascii").strip()
