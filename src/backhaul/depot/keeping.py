"""What a data folder keeps, for those who only read it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backhaul.depot.keys import Secrets
from backhaul.depot.manifests import Manifests
from backhaul.depot.service import DATABASE
from backhaul.depot.store import Blobs, Keeping, folders
from backhaul.depot.store.folder import FolderBlobs
from backhaul.depot.store.sqlite import SqliteStore


@dataclass(frozen=True, slots=True)
class Kept:
    """Store, bytes and manifests of one depot. `id` tells it from every other one, and gives nothing away."""

    id: str
    store: Keeping
    blobs: Blobs
    manifests: Manifests


@contextmanager
def kept_in(data: Path) -> Iterator[Kept]:
    """What the folder keeps; works while a depot runs over it.

    Raises OSError when the folder cannot be read, RuntimeError when it belongs to a newer depot.
    """
    folders.make(data)
    secrets = Secrets.open(data)
    store = SqliteStore(data / DATABASE)
    try:
        blobs = FolderBlobs(data / "blobs")
        yield Kept(hashlib.sha256(secrets.signing).hexdigest(), store, blobs, Manifests(blobs))
    finally:
        store.close()
