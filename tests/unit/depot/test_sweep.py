"""What nothing names goes, and nothing else does."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backhaul.depot.artifact import Artifact, Draft, Entry
from backhaul.depot.manifests import Manifests
from backhaul.depot.model import Blob, RunEdit
from backhaul.depot.refusal import Refused
from backhaul.depot.store.folder import FolderBlobs
from backhaul.depot.store.interface import SETTLED_AFTER
from backhaul.depot.store.leaving import GRACE
from backhaul.depot.store.opening import open_store
from backhaul.depot.store.sql_store import SqlStore
from backhaul.depot.sweep import ABANDONED_AFTER, Sweep
from backhaul.depot.threads import ended


@dataclass
class House:
    """A store, its blobs and its sweep, whose time passes when the test says so."""

    folder: Path
    database: Path | str
    now: float = 1000.0
    store: SqlStore = field(init=False)

    def __post_init__(self) -> None:
        self.store = open_store(self.database, clock=lambda: self.now)
        self.blobs = FolderBlobs(self.folder / "blobs", clock=lambda: self.now)
        self.sweep = Sweep(self.store, self.blobs, Manifests(self.blobs), clock=lambda: self.now)

    @property
    def bytes(self) -> set[bytes]:
        """All that lies in the folder of blobs."""
        return {path.read_bytes() for path in (self.folder / "blobs").rglob("*") if path.is_file()}

    def blob(self, data: bytes) -> Blob:
        """Bytes as an upload leaves them before anything names them."""

        async def body() -> AsyncIterator[bytes]:
            yield data

        return asyncio.run(self.blobs.receive(body(), lambda _blob: None, lambda _blob: ended(None)))

    def age_all(self) -> None:
        """An hour has passed for all that lies there."""
        for path in (self.folder / "blobs").rglob("*"):
            os.utime(path, (time.time() - SETTLED_AFTER - 1,) * 2)

    def look_twice(self) -> None:
        """As the sweep does at its start and every hour."""
        for _ in range(2):
            self.sweep.tick(whole=True)

    def pass_time(self, seconds: float = GRACE) -> None:
        """Wait, then look."""
        self.sweep.tick()
        self.now += seconds
        self.sweep.tick()

    def begin(self, name: str, content: dict[str, bytes], home: str = "p") -> tuple[Artifact, list[Entry]]:
        """A version of one collection with all that it needs, and not committed."""
        draft = Draft("e", home, "c", "data", digest=name, aliases=(), client_id=name)
        version = self.store.artifacts.create(draft)
        project = version.collection.project.id
        entries = [Entry(path, hashlib.md5(data).hexdigest(), len(data)) for path, data in content.items()]
        here = self.store.artifacts.rely_on(project, [entry.md5 or "" for entry in entries], version.id)
        for entry, data in zip(entries, content.values(), strict=True):
            if entry.md5 not in here:
                self.store.artifacts.put_content(project, self.blob(data), version.id)
        described = {entry.name: {"digest": _base64(entry.md5), "size": entry.size} for entry in entries}
        manifest = json.dumps({"version": 1, "name": name, "contents": described}).encode()
        made = self.store.artifacts.make_manifest(version.id, base64.b64encode(hashlib.md5(manifest).digest()).decode())
        self.store.artifacts.put_manifest(made.id, self.blob(manifest))
        return version, entries

    def version(self, name: str, content: dict[str, bytes], home: str = "p") -> Artifact:
        """A committed version."""
        version, entries = self.begin(name, content, home)
        return self.commit(version, entries)

    def commit(self, version: Artifact, entries: list[Entry]) -> Artifact:
        """The version with the manifest that it has, taken to hold these entries."""
        manifest = self.store.artifacts.current_manifest(version.id)
        assert manifest is not None
        return self.store.artifacts.commit(version.id, manifest.id, entries)


def _base64(md5: str | None) -> str:
    return base64.b64encode(bytes.fromhex(md5 or "")).decode()


@pytest.fixture
def house(tmp_path: Path, database: Path | str) -> Iterator[House]:
    made = House(tmp_path, database)
    yield made
    made.store.close()


def test_what_a_crash_left_goes_after_an_hour(house: House) -> None:
    """Bytes without a name and pieces of uploads: not before, since another process may be at work on them."""
    run, _ = house.store.open_run("e", "p", "r", RunEdit())
    house.store.put_file(run.id, "a", house.blob(b"named")).result()
    house.blob(b"orphan")
    (house.folder / "blobs" / "incoming" / "x").write_bytes(b"half")
    house.look_twice()
    assert house.bytes == {b"named", b"orphan", b"half"}
    house.age_all()
    house.look_twice()
    assert house.bytes == {b"named"}


def test_a_start_looks_at_once(house: House) -> None:
    """A depot that never runs for an hour keeps its store clean, too."""
    (house.folder / "blobs" / "incoming" / "x").write_bytes(b"half")
    house.age_all()
    house.sweep.start()
    house.sweep.stop()
    assert house.bytes == set()


def test_a_sweep_leaves_an_upload_under_way_alone(house: House) -> None:
    """Bytes that get their name after a look saw them without one stay; those that never get one go at the next."""
    run, _ = house.store.open_run("e", "p", "r", RunEdit())
    late = house.blob(b"late")
    house.blob(b"orphan")
    house.age_all()
    house.sweep.tick(whole=True)
    house.store.put_file(run.id, "a", late).result()
    fresh = house.blob(b"fresh")
    house.sweep.tick(whole=True)
    house.store.put_file(run.id, "b", fresh).result()
    house.sweep.tick(whole=True)
    assert house.bytes == {b"late", b"fresh"}


def test_a_removed_blob_can_be_read_for_a_minute(house: House) -> None:
    """Who has just read its name can still open it."""
    blob = house.blob(b"old")
    house.blobs.remove(blob.name)
    house.pass_time(GRACE - 1)
    assert house.blobs.read(blob.name) == b"old"
    house.pass_time(1)
    assert house.bytes == set()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["older-first", "newer-first"])
def test_a_deleted_version_frees_what_no_other_needs(house: House, order: tuple[int, int]) -> None:
    """Bytes that two versions share stay until both are deleted, whichever goes first."""
    own = [b"first", b"second"]
    made = [house.version(str(number), {"own": own[number], "shared": b"shared"}) for number in (0, 1)]
    house.store.artifacts.delete(made[order[0]].id, with_aliases=True)
    house.pass_time()
    assert {data for data in house.bytes if not data.startswith(b"{")} == {own[order[1]], b"shared"}
    house.store.artifacts.delete(made[order[1]].id, with_aliases=True)
    house.pass_time()
    assert house.bytes == set()


def test_a_deleted_collection_frees_its_bytes(house: House) -> None:
    """With all its versions."""
    series = house.version("one", {"own": b"first"}).collection
    house.store.artifacts.delete_collection(series.id)
    house.pass_time()
    assert house.bytes == set()


def test_a_manifest_that_cannot_be_read_keeps_what_its_own_project_has(house: House) -> None:
    """What other versions of the project need is not known; other projects are freed all the same."""
    kept = house.version("kept", {"a": b"shared"}, "bad")
    gone = [house.version("gone", {"a": b"shared", "b": home.encode()}, home) for home in ("bad", "good")]
    manifest = house.store.artifacts.current_manifest(kept.id)
    assert manifest is not None
    house.blobs.destroy(str(manifest.blob))
    for version in gone:
        house.store.artifacts.delete(version.id, with_aliases=True)
    house.pass_time()
    assert sorted(found for found in house.bytes if b"{" not in found) == [b"bad", b"shared"]


def test_what_an_upload_was_told_is_here_stays_for_it(house: House) -> None:
    """The version that brought the bytes is deleted before the one that relies on them is committed."""
    first = house.version("one", {"shared": b"shared"})
    pending, entries = house.begin("two", {"shared": b"shared"})
    house.store.artifacts.delete(first.id, with_aliases=True)
    house.pass_time()
    house.commit(pending, entries)
    house.pass_time()
    assert b"shared" in house.bytes


def test_a_commit_during_the_search_keeps_its_bytes(house: House) -> None:
    """What was found to be of no use may be needed by a version that was committed since."""
    artifacts = house.store.artifacts
    first = house.version("one", {"shared": b"shared"})
    artifacts.delete(first.id, with_aliases=True)
    pending, entries = house.begin("two", {})
    (stray,) = artifacts.strays()
    house.commit(pending, [Entry("shared", *stray.digests, 6), *entries])
    assert artifacts.settle(stray, {}) == []
    (again,) = artifacts.strays()
    assert len(artifacts.settle(again, {})) == 1


def test_a_version_without_its_bytes_is_not_committed(house: House) -> None:
    """Also when they were here, and went."""
    first = house.version("one", {"own": b"first"})
    house.store.artifacts.delete(first.id, with_aliases=True)
    house.pass_time()
    pending, _ = house.begin("two", {})
    with pytest.raises(Refused, match="1 of its files have not arrived: \\['own'\\]"):
        house.commit(pending, [Entry("own", hashlib.md5(b"first").hexdigest(), 5)])


def test_a_version_that_is_never_committed_goes_after_a_week(house: House) -> None:
    """With its bytes; its client begins anew."""
    pending, entries = house.begin("one", {"own": b"first"})
    house.now += ABANDONED_AFTER
    house.sweep.tick(whole=True)
    assert b"first" in house.bytes
    house.now += 1
    house.sweep.tick(whole=True)
    house.pass_time()
    assert house.bytes == set()
    with pytest.raises(Refused, match="deleted") as refused:
        house.store.artifacts.commit(pending.id, 1, entries)
    assert refused.value.status == 409
    assert house.version("one", {"own": b"first"}).version == 0


def test_a_version_is_committed_with_the_manifest_that_was_looked_at(house: House) -> None:
    """Another one that comes meanwhile may name bytes that nobody has looked for."""
    pending, entries = house.begin("one", {"own": b"first"})
    looked_at = house.store.artifacts.current_manifest(pending.id)
    assert looked_at is not None
    other = house.store.artifacts.make_manifest(pending.id, "")
    house.store.artifacts.put_manifest(other.id, house.blob(b"{}"))
    with pytest.raises(Refused, match="another manifest") as refused:
        house.store.artifacts.commit(pending.id, looked_at.id, entries)
    assert (refused.value.status, house.store.artifacts.get(pending.id).committed) == (409, False)


def test_a_committed_version_keeps_its_manifest(house: House) -> None:
    """Neither a new one, nor one that was begun before and comes late, takes its place; the same may come again."""
    artifacts = house.store.artifacts
    pending, entries = house.begin("one", {"own": b"first"})
    kept = artifacts.current_manifest(pending.id)
    assert kept is not None
    late = artifacts.make_manifest(pending.id, "")
    house.commit(pending, entries)
    for attempt in (lambda: artifacts.put_manifest(late.id, house.blob(b"{}")), lambda: artifacts.make_manifest(1, "")):
        with pytest.raises(Refused) as refused:
            attempt()
        assert refused.value.status == 409
    assert artifacts.make_manifest(pending.id, kept.digest) == kept
    assert artifacts.put_manifest(kept.id, house.blob(b"again")) == kept.blob
    now = artifacts.current_manifest(pending.id)
    assert now is not None
    assert now.id == kept.id


def test_a_version_that_was_begun_in_a_deleted_collection_is_deleted_too(house: House) -> None:
    """Its client hears so when it commits."""
    series = house.version("one", {"own": b"first"}).collection
    pending, entries = house.begin("two", {"own": b"second"})
    house.store.artifacts.delete_collection(series.id)
    with pytest.raises(Refused, match="deleted"):
        house.commit(pending, entries)
