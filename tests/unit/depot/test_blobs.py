"""What every place for blobs promises: a folder, and a bucket of an object store."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from backhaul.depot.model import Blob
from backhaul.depot.refusal import Refused
from backhaul.depot.store import Blobs
from backhaul.depot.store.folder import FolderBlobs
from backhaul.depot.store.interface import BROUGHT_AFTER, SETTLED_AFTER
from backhaul.depot.store.leaving import GRACE
from backhaul.depot.store.s3.blobs import S3Blobs
from backhaul.depot.store.s3.bucket import Bucket
from backhaul.depot.threads import ended

from ...object_store import BUCKET, Door

_LARGE = bytes(range(256)) * (9 << 12)  # 9 MiB: an object in parts


@dataclass
class House:
    """Blobs whose time passes when the test says so. `left` are the names of all that lies there, whole or not."""

    blobs: Blobs
    left: Callable[[], list[str]]
    age: Callable[[str], None]
    now: float = 1000.0

    def receive(self, data: bytes, keep: Callable[[Blob], str | None] = lambda _blob: None, **more: Any) -> Blob:
        """Bytes as an upload brings them."""

        async def body() -> AsyncIterator[bytes]:
            for start in range(0, len(data), 1 << 18):
                yield data[start : start + (1 << 18)]

        return asyncio.run(
            self.blobs.receive(body(), more.get("accept", lambda _blob: None), lambda blob: ended(keep(blob)))
        )


@pytest.fixture(params=["folder", "s3"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> House:
    """Both places."""
    return _folder(tmp_path) if request.param == "folder" else _bucket(request.getfixturevalue("door"))


def _folder(root: Path) -> House:
    def left() -> list[str]:
        return [path.name for path in root.rglob("*") if path.is_file()]

    def age(name: str) -> None:
        (path,) = root.rglob(name)
        os.utime(path, (time.time() - SETTLED_AFTER - 1,) * 2)

    house = House(FolderBlobs(root, clock=lambda: house.now), left, age)
    return house


def _bucket(door: Door) -> House:
    from moto.s3.models import s3_backends

    place = door.place()

    def age(name: str) -> None:
        (backend,) = (each["aws"] for each in s3_backends.values())
        key = backend.buckets[BUCKET].keys[place.prefix + name]
        key.last_modified = key.last_modified.replace(year=key.last_modified.year - 1)

    blobs = S3Blobs(Bucket(place), plain_etags=True, clock=lambda: house.now)
    house = House(blobs, lambda: door.names(place) + ["a part"] * door.uploads(place), age)
    return house


@pytest.mark.parametrize("data", [b"", b"some", _LARGE], ids=["empty", "small", "large"])
def test_what_comes_in_is_read_back(house: House, data: bytes) -> None:
    """With its size and its MD5; also by pieces, from any place to the end."""
    blob = house.receive(data)
    assert (blob.size, blob.md5) == (len(data), hashlib.md5(data).hexdigest())
    assert house.blobs.read(blob.name) == data
    with house.blobs.open(blob.name) as source:
        assert source.seek(0, 2) == len(data)
        source.seek(len(data) // 3)
        assert source.read(10) == data[len(data) // 3 :][:10]
        assert source.read() == data[len(data) // 3 + 10 :]


@pytest.mark.parametrize("data", [b"some", _LARGE], ids=["small", "large"])
def test_a_body_that_is_refused_leaves_nothing(house: House, data: bytes) -> None:
    """Before it exists, when it is to get its name and while it gets it, and when it ends in the middle."""

    def refuse(_blob: Blob) -> str | None:
        raise Refused("no")

    async def whole() -> AsyncIterator[bytes]:
        yield data

    def refused_later(_blob: Blob) -> Future[str | None]:
        later: Future[str | None] = Future()
        threading.Timer(0.05, lambda: later.set_exception(Refused("no"))).start()
        return later

    async def torn() -> AsyncIterator[bytes]:
        yield data
        raise Refused("the body is shorter than its Content-Length says")

    for attempt in (
        lambda: house.receive(data, accept=refuse),
        lambda: house.receive(data, refuse),
        lambda: asyncio.run(house.blobs.receive(whole(), lambda _blob: None, refused_later)),
        lambda: asyncio.run(house.blobs.receive(torn(), lambda _blob: None, lambda _blob: ended(None))),
    ):
        with pytest.raises(Refused):
            attempt()
    assert house.left() == []


def test_a_blob_that_may_have_got_its_name_stays(house: House) -> None:
    """The answer to a commit was lost: the row may be there, and others would rely on its bytes."""

    def lose(_blob: Blob) -> str | None:
        raise Refused("the depot cannot use its database", 503)

    with pytest.raises(Refused):
        house.receive(b"some", lose)
    (name,) = house.left()
    assert house.blobs.read(name) == b"some"


def test_a_blob_that_is_not_needed_goes_at_once_and_a_replaced_one_after_a_minute(house: House) -> None:
    """Who has just read its name can still open it; who has it open reads it to its end."""
    old = house.receive(_LARGE)
    house.receive(b"needless", lambda blob: blob.name)
    new = house.receive(b"new", lambda _blob: old.name)
    house.now += GRACE - 1
    house.blobs.purge()
    with house.blobs.open(old.name) as source:
        begun = source.read(100)
        house.now += 1
        house.blobs.purge()
        assert house.left() == [new.name]
        assert begun + source.read() == _LARGE


def test_blobs_are_joined_in_their_order(house: House) -> None:
    """The parts stay; a whole that is refused leaves nothing."""
    parts = [house.blobs.keep(piece).name for piece in (b"one ", b"two ", b"three")]
    joined = house.blobs.join(parts, lambda _blob: None)
    assert house.blobs.read(joined.name) == b"one two three"

    def refuse(_blob: Blob) -> None:
        raise Refused("no")

    with pytest.raises(Refused):
        house.blobs.join(parts, refuse)
    assert sorted(house.left()) == sorted([*parts, joined.name])


def test_only_what_has_been_there_for_an_hour_is_settled(house: House) -> None:
    """Younger ones may be about to get their name, from another process too."""
    old, young = house.blobs.keep(b"old"), house.blobs.keep(b"young")
    house.age(old.name)
    found = {name for start in "0123456789abcdef" for name in house.blobs.settled_names(start)}
    assert (found, young.name in house.left()) == ({old.name}, True)
    assert old.name in house.blobs.settled_names(old.name[0])


def test_parts_of_which_nothing_came_for_long_are_removed(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not so those that still come, however long ago they were begun; what clients bring has more time."""
    blobs = S3Blobs(Bucket(door.place()), plain_etags=True)
    uploads = {name: blobs.bucket.begin(name) for name in ("0" * 32, "1" * 32, "2a2.0")}  # moto: begun in 2010
    blobs.bucket.put_part("1" * 32, uploads["1" * 32], 1, b"")
    ages = {"2a2.0": BROUGHT_AFTER - 1}
    monkeypatch.setattr(blobs.bucket, "pending", lambda real=blobs.bucket.pending: (
        replace(each, age=ages.get(each.name, each.age)) for each in real()))  # fmt: skip
    blobs.clear_stalled()
    assert {each.name for each in blobs.bucket.pending()} == {"1" * 32, "2a2.0"}


def test_a_blob_that_is_gone_cannot_be_read_and_may_be_destroyed_again(house: House) -> None:
    """OSError, as for a disk that fails."""
    blob = house.blobs.keep(b"some")
    for _ in range(2):
        house.blobs.destroy(blob.name)
    with pytest.raises(OSError):
        house.blobs.open(blob.name)
