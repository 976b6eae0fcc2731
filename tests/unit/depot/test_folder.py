"""Blobs in a folder: flushed together, and whole."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from backhaul.depot.refusal import Refused
from backhaul.depot.store import folders
from backhaul.depot.store.draft import Draft
from backhaul.depot.store.folder import FolderBlobs
from backhaul.depot.store.folders import Folder

if TYPE_CHECKING:
    from pathlib import Path

    from backhaul.depot.model import Blob


class _Disk:
    """Counts flushes; the first waits until it is let go."""

    def __init__(self) -> None:
        self.flushes = 0
        self.first_began = threading.Event()
        self.go_on = threading.Event()
        self.fails = False

    def sync(self, _path: Path) -> None:
        self.flushes += 1
        if self.flushes == 1:
            self.first_began.set()
            assert self.go_on.wait(30)
        if self.fails:
            raise OSError("the disk failed")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> _Disk:
    """What flushes go to instead."""
    found = _Disk()
    monkeypatch.setattr(folders, "sync", found.sync)
    return found


class _Door:
    """A lock that tells who came to it."""

    def __init__(self) -> None:
        self.came = threading.Semaphore(0)
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self.came.release()
        self._lock.acquire()

    def __exit__(self, *_error: object) -> None:
        self._lock.release()


def _ends(path: Path, disk: _Disk, count: int) -> list[BaseException | None]:
    """How a flush ends, and `count` more that are asked for while it is under way."""
    folder, door = Folder(path), _Door()
    folder._flushing = door  # type: ignore[assignment]
    with ThreadPoolExecutor(count + 1) as threads:
        first = threads.submit(folder.sync)
        assert disk.first_began.wait(30)
        others = [threads.submit(folder.sync) for _ in range(count)]
        assert all(door.came.acquire(timeout=30) for _ in range(count + 1))
        disk.go_on.set()
        return [each.exception(30) for each in (first, *others)]


def test_who_comes_during_a_flush_shares_the_next_one(tmp_path: Path, disk: _Disk) -> None:
    """Not the one under way, which may have begun before the name was there."""
    ends = _ends(tmp_path, disk, 7)
    assert (set(ends), disk.flushes) == ({None}, 2)


def test_a_flush_that_fails_counts_for_nobody(tmp_path: Path, disk: _Disk) -> None:
    """Each hears of a failure of its own, and none takes another's for its flush."""
    disk.fails = True
    ends = _ends(tmp_path, disk, 3)
    assert ([type(each) for each in ends], disk.flushes) == ([OSError] * 4, 4)


def test_a_disk_that_takes_less_than_it_is_given_gets_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a disk that is nearly full does."""
    real = os.writev
    monkeypatch.setattr(os, "writev", lambda descriptor, pieces: real(descriptor, [b"".join(pieces)[:5]]))
    pieces: Sequence[bytes] = [b"abc", b"", b"defgh", b"ijk"]
    (tmp_path / "home").mkdir()
    for name, begun in (("large", pieces), ("small", [])):
        draft = Draft(tmp_path, name)
        if begun:
            draft.append(begun)
        blob = draft.settle([b"l"] if begun else [*pieces, b"l"], lambda _blob: None, Folder(tmp_path / "home"))
        draft.drop()
        assert (tmp_path / "home" / name).read_bytes() == b"abcdefghijkl"
        assert (blob.name, blob.size, blob.md5) == (name, 12, "9fc9d606912030dca86582ed62595cf7")


def test_a_small_body_that_is_refused_or_cannot_be_flushed_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked at before a byte is written; a disk that fails in the middle keeps no piece."""

    def refuse(_blob: Blob) -> None:
        raise Refused("no")

    blobs = FolderBlobs(tmp_path)
    with pytest.raises(Refused):
        blobs.join([], refuse)
    monkeypatch.setattr(os, "fsync", lambda _descriptor: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(Refused) as told:
        blobs.keep(b"some")
    assert told.value.status == 507
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_blobs_that_come_together_lie_together(tmp_path: Path) -> None:
    """So that one flush does for all; in the long run every folder gets as many."""
    blobs = FolderBlobs(tmp_path)
    homes = [blobs.keep(b"").name[:2] for _ in range(200)]
    assert len(set(homes)) in (4, 5)
    assert max(map(homes.count, homes)) <= 64
