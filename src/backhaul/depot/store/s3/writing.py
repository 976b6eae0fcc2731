"""An object on its way: in memory while it is small, else part by part."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from contextlib import suppress

from backhaul.depot.refusal import Refused
from backhaul.depot.store.s3.bucket import Bucket

_PART = 8 << 20  # bytes; parts but the last have 5 MiB at least
_LARGER_EVERY = 1000  # parts: 10,000 are allowed, which are 440 GB then


def fresh_name() -> str:
    """A name that no other blob has."""
    return secrets.token_hex(16)


class Draft:
    """Bytes that come piece by piece, and are to become the object `name`. For one thread at a time."""

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._bucket, self.name = bucket, name
        self._digest = hashlib.md5(usedforsecurity=False)
        self._size = 0
        self._waiting: list[bytes] = []
        self._room = _PART
        self._upload: str | None = None
        self._etags: list[str] = []

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._size

    @property
    def md5(self) -> str:
        """Their MD5 (hexadecimal)."""
        return self._digest.hexdigest()

    def append(self, pieces: Sequence[bytes]) -> None:
        """Takes the pieces behind what is there."""
        for piece in pieces:
            self._digest.update(piece)
            self._size += len(piece)
            self._waiting.append(piece)
            self._room -= len(piece)
        if self._room <= 0:
            self._send_part()

    def settle(self) -> None:
        """Makes it an object; it is durable when this returns."""
        if self._upload is None:
            self._bucket.put(self.name, b"".join(self._waiting))
            return
        if self._waiting:
            self._send_part()
        self._bucket.complete(self.name, self._upload, self._etags)
        self._upload = None

    def drop(self) -> None:
        """Leaves nothing behind, unless it was settled."""
        upload, self._upload = self._upload, None
        if upload is not None:
            with suppress(Refused):  # the sweep removes what a store that fails cannot remove now
                self._bucket.abort(self.name, upload)

    def _send_part(self) -> None:
        data = b"".join(self._waiting)
        self._upload = self._upload or self._bucket.begin(self.name)
        self._etags.append(self._bucket.put_part(self.name, self._upload, len(self._etags) + 1, data))
        self._waiting = []
        self._room = _PART * (1 + len(self._etags) // _LARGER_EVERY)
