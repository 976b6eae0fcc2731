"""An object as a file that is read from any place."""

from __future__ import annotations

import hashlib
import io
from typing import Any, BinaryIO, cast

from botocore.exceptions import BotoCoreError, HTTPClientError

from backhaul.depot.model import Blob
from backhaul.depot.store.s3.bucket import Bucket

_PIECE = 1 << 20  # bytes read at a time
_ATTEMPTS = 3  # without a byte in between


class ObjectReader(io.RawIOBase):
    """The bytes of an object. One request carries them to the end; another place, or a lost connection, takes another.

    It is the same object all the time: one that is replaced meanwhile is an OSError.
    """

    def __init__(self, bucket: Bucket, name: str, etag: str | None = None) -> None:
        super().__init__()
        self._bucket, self._name = bucket, name
        answer = bucket.get(name, etag=etag)
        self._size, self._etag = int(answer["ContentLength"]), str(answer["ETag"])
        self._body: Any = answer["Body"]
        self._body_at = self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves to a place; nothing is asked of the store before the next read."""
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def tell(self) -> int:
        """The place of the next byte."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fills the buffer with what comes next. Raises OSError when it does not come."""
        view = memoryview(buffer).cast("B")[: max(0, self._size - self._at)]
        filled, failed = 0, 0
        while filled < len(view):
            piece = self._some(len(view) - filled)
            failed = 0 if piece else failed + 1
            if failed == _ATTEMPTS:
                raise OSError(f"the connection to the blob store broke {failed} times")
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
        return filled

    def close(self) -> None:
        """Ends the request."""
        self._drop()
        super().close()

    def _some(self, most: int) -> bytes:
        """The next bytes; none when the connection broke, so that another request is made."""
        if self._body is None or self._body_at != self._at:
            self._drop()
            self._body, self._body_at = self._bucket.get(self._name, self._at, self._etag)["Body"], self._at
        try:
            piece = bytes(self._body.read(most))
        except (BotoCoreError, HTTPClientError, OSError):
            piece = b""
        self._at = self._body_at = self._at + len(piece)
        if not piece:
            self._drop()
        return piece

    def _drop(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            body.close()


def described(bucket: Bucket, name: str) -> Blob:
    """An object whose MD5 the store does not say; its bytes are read for it."""
    with ObjectReader(bucket, name) as source:
        md5 = md5_of(cast(BinaryIO, source))
        return Blob(name, source.tell(), md5)


def md5_of(source: BinaryIO) -> str:
    """The MD5 (hexadecimal) of the bytes to the end, which are read."""
    digest = hashlib.md5(usedforsecurity=False)
    while piece := source.read(_PIECE):
        digest.update(piece)
    return digest.hexdigest()
