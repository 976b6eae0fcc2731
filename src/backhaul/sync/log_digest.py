"""The digest of a log: what a receipt knows it by."""

from __future__ import annotations

import hashlib
from pathlib import Path


def sha256_of(log: Path, size: int) -> str:
    """SHA-256 of the first `size` bytes: of what was there when the sync began."""
    digest = hashlib.sha256()
    with log.open("rb") as file:
        while size and (block := file.read(min(size, 1 << 20))):
            digest.update(block)
            size -= len(block)
    return digest.hexdigest()
