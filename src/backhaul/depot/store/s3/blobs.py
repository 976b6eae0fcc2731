"""Blobs in a bucket: one object each, under a random name. An object appears when it is whole, and never changes.

What comes in is compared by the store with the MD5 that goes with each body or part. What a crash leaves, objects that
nothing names and parts of objects, is removed by the sweep (`depot.sweep`).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from backhaul.depot.model import Blob
from backhaul.depot.store import unfinished
from backhaul.depot.store.intake import begun, gathered, named, pieces
from backhaul.depot.store.interface import BROUGHT_AFTER, SETTLED_AFTER, Accept, Clock, Keep
from backhaul.depot.store.leaving import Leaving
from backhaul.depot.store.s3.arrivals import S3Arrivals
from backhaul.depot.store.s3.bucket import Bucket
from backhaul.depot.store.s3.mailboxes import S3Mailboxes
from backhaul.depot.store.s3.owner import claim
from backhaul.depot.store.s3.place import S3Place
from backhaul.depot.store.s3.probe import probe
from backhaul.depot.store.s3.reading import ObjectReader
from backhaul.depot.store.s3.writing import Draft, fresh_name
from backhaul.depot.store.unusable import PlaceRefused
from backhaul.depot.threads import in_blob_thread


class S3Blobs:
    """A `Blobs` in one bucket."""

    def __init__(self, bucket: Bucket, plain_etags: bool, clock: Clock = time.monotonic) -> None:
        """`plain_etags`: an object's ETag is its MD5."""
        self.bucket = bucket
        self.plain_etags = plain_etags
        self._leaving = Leaving(clock)

    @classmethod
    def at(cls, place: S3Place, moving: bool = False) -> S3Blobs:
        """The blobs at a place that was tried. Raises PlaceRefused or PlaceUnreachable when it cannot be used.

        Only for those who are `moving` a depot there can it be used before that has ended.
        """
        blobs = cls(Bucket(place), probe(place))
        if not moving and blobs.bucket.head(unfinished.NAME):
            raise PlaceRefused(f"{place}: {unfinished.WORDS}")
        return blobs

    def belong_to(self, owner: str) -> None:
        """See `Blobs`."""
        claim(self.bucket, owner)

    def arrivals(self) -> S3Arrivals:
        """See `Blobs`."""
        return S3Arrivals(self.bucket, self.plain_etags)

    def mailboxes(self) -> S3Mailboxes:
        """See `Blobs`."""
        return S3Mailboxes(self.bucket, self.plain_etags)

    async def receive(self, chunks: AsyncIterator[bytes], accept: Accept, keep: Keep) -> Blob:
        """See `Blobs`. A store that does not take it is refused with 503."""
        draft = Draft(self.bucket, fresh_name())
        try:
            rest = await gathered(chunks, lambda some: in_blob_thread(draft.append, some))
            return await in_blob_thread(self._kept, draft, rest, accept, keep)
        except BaseException:
            await in_blob_thread(draft.drop)
            raise

    def _kept(self, draft: Draft, rest: list[bytes], accept: Accept, keep: Keep) -> Blob:
        draft.append(rest)
        blob = _settled(draft, accept)
        named(blob, begun(blob, keep), self.destroy, self.remove)
        return blob

    def keep(self, data: bytes) -> Blob:
        """See `Blobs`. A store that does not take it is refused with 503."""
        with self._draft() as draft:
            draft.append([data])
            return _settled(draft, lambda _blob: None)

    def join(self, names: list[str], accept: Accept) -> Blob:
        """See `Blobs`. A store that does not take it is refused with 503."""
        with self._draft() as draft:
            for piece in pieces(names, self.open):
                draft.append([piece])
            return _settled(draft, accept)

    @contextmanager
    def _draft(self) -> Iterator[Draft]:
        draft = Draft(self.bucket, fresh_name())
        try:
            yield draft
        finally:
            draft.drop()

    def open(self, name: str) -> BinaryIO:
        """See `Blobs`."""
        return cast(BinaryIO, ObjectReader(self.bucket, name))

    def read(self, name: str) -> bytes:
        """See `Blobs`."""
        with self.open(name) as source:
            return source.read()

    def remove(self, name: str) -> None:
        """See `Blobs`."""
        self._leaving.add(name)

    def purge(self) -> None:
        """See `Blobs`."""
        for name in self._leaving.due():
            self.destroy(name)

    def destroy(self, name: str) -> None:
        """See `Blobs`."""
        self.bucket.delete(name)

    def settled_names(self, start: str) -> set[str]:
        """See `Blobs`."""
        return {each.name for each in self.bucket.found(start) if each.age > _patience(each.name)}

    def clear_stalled(self) -> None:
        """See `Blobs`."""
        for each in self.bucket.pending():
            if each.age > _patience(each.name) < self.bucket.quiet_for(each):
                self.bucket.abort(each.name, each.upload)


def _patience(name: str) -> float:
    return BROUGHT_AFTER if "." in name else SETTLED_AFTER


def _settled(draft: Draft, accept: Accept) -> Blob:
    blob = Blob(draft.name, draft.size, draft.md5)
    accept(blob)
    draft.settle()
    return blob
