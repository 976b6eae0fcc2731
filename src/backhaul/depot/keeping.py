"""What a depot keeps, for those who only read it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from backhaul.depot.manifests import Manifests
from backhaul.depot.place import Place
from backhaul.depot.store import Blobs, Keeping


@dataclass(frozen=True, slots=True)
class Kept:
    """Store, bytes and manifests of one depot. `id` tells it from every other one, and gives nothing away."""

    id: str
    store: Keeping
    blobs: Blobs
    manifests: Manifests


@contextmanager
def kept_in(place: Place) -> Iterator[Kept]:
    """What is kept in a place; works while depots run over it.

    Raises OSError when it cannot be read, RuntimeError when it belongs to a newer depot.
    """
    secrets = place.secrets()
    store = place.open_store()
    try:
        blobs = place.open_blobs()
        yield Kept(hashlib.sha256(secrets.signing).hexdigest(), store, blobs, Manifests(blobs))
    finally:
        store.close()
