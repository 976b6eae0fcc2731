"""Objects that clients PUT at presigned addresses which fit anything."""

from __future__ import annotations

from collections.abc import Iterator

from backhaul.depot.model import Blob, Brought
from backhaul.depot.store.s3.bucket import Bucket, Changed, Found, Missing
from backhaul.depot.store.s3.looking import those_there
from backhaul.depot.store.s3.reading import described
from backhaul.depot.store.s3.signing import AddressSigner
from backhaul.depot.store.s3.writing import fresh_name


class S3Mailboxes:
    """A `Mailboxes` in the bucket of the blobs."""

    def __init__(self, bucket: Bucket, plain_etags: bool) -> None:
        """`plain_etags`: an object's ETag is its MD5."""
        self._bucket = bucket
        self._plain_etags = plain_etags
        self._signer = AddressSigner(bucket.place)

    def address(self, name: str) -> str:
        """See `Mailboxes`."""
        return self._signer.address("put_object", name)

    def found(self, start: str, names: list[str]) -> list[Brought]:
        """See `Mailboxes`."""
        return [_brought(each) for each in those_there(self._bucket, start, names)]

    def copied(self, brought: Brought) -> Blob | None:
        """See `Mailboxes`. A store that heeds no condition tells by the ETag of the copy what it has copied."""
        name = fresh_name()
        try:
            etag = self._bucket.copy(brought.name, name, brought.etag)
        except (Changed, Missing):
            return None
        if not self._plain_etags:
            return described(self._bucket, name)
        if etag != brought.etag:
            self._bucket.delete(name)
            return None
        return Blob(name, brought.size, etag)

    def older(self, start: str, age: float) -> Iterator[str]:
        """See `Mailboxes`."""
        return (each.name for each in self._bucket.found(start) if each.age > age)

    def empty(self, name: str) -> None:
        """See `Mailboxes`."""
        self._bucket.delete(name)


def _brought(found: Found) -> Brought:
    """Its time in whole seconds: one question to a store is answered with parts of them, and another is not."""
    return Brought(found.name, found.size, found.etag, int(found.modified))
