"""Blobs move from a folder to an object store, and are read back there."""

from __future__ import annotations

import base64
import hashlib
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from backhaul.depot.migration.source import Source
from backhaul.depot.store.s3.blobs import S3Blobs
from backhaul.depot.store.s3.bucket import Found, Missing
from backhaul.depot.store.s3.reading import md5_of
from backhaul.depot.store.s3.writing import Draft

_AT_ONCE = 8
_WAITING = 64  # blobs that wait for a thread, or for those before them
_PIECE = 1 << 20

_NAMED = """
    SELECT blob, size, md5, 'the file ' || name FROM files
    UNION ALL SELECT blob, size, md5, 'contents of artifacts' FROM contents
    UNION ALL SELECT blob, size, digest, 'the manifest ' || id FROM manifests WHERE blob IS NOT NULL
    UNION ALL SELECT p.blob, NULL, json_extract(u.parts, '$[' || (p.number - 1) || ']'), 'a part of an upload'
        FROM upload_parts p JOIN uploads u ON u.id = p.upload_id
    ORDER BY blob
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A blob as a row says it must be; `owner` tells people what it is. A part's size stands nowhere."""

    name: str
    size: int | None
    md5: str | None
    owner: str


@dataclass(frozen=True, slots=True)
class Carried:
    """What became of a blob: its size, or what is wrong with it in the source."""

    size: int
    fault: str | None = None


def wanted(database: sqlite3.Connection) -> Iterator[Wanted]:
    """All blobs that rows name, in the order of their names. What nothing names stays behind."""
    for name, size, digest, owner in database.execute(_NAMED):
        yield Wanted(name, size, _hexadecimal(digest), owner)


def carry(source: Source, blobs: S3Blobs, tell: Callable[[Carried], None]) -> list[str]:
    """Brings all blobs that are not there yet, each read back; what is wrong with those that cannot be brought.

    An object that is there, of the right size and MD5, is one that an earlier run brought and read back.
    """
    faults = []
    pairs = _beside(wanted(source.database), blobs.bucket.found(""))
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for done in _in_order(threads.submit(_carried, source, blobs, *pair) for pair in pairs):
            tell(done)
            if done.fault:
                faults.append(done.fault)
    return faults


def _beside(here: Iterable[Wanted], there: Iterator[Found]) -> Iterator[tuple[Wanted, int | None]]:
    """Each blob with the size of the object of its name, None without one; both come in the order of their names."""
    found = next(there, None)
    for each in here:
        while found is not None and found.name < each.name:
            found = next(there, None)
        yield each, found.size if found is not None and found.name == each.name else None


def _in_order(begun: Iterator[Future[Carried]]) -> Iterator[Carried]:
    """What becomes of the work, of which only so much is begun ahead."""
    waiting: deque[Future[Carried]] = deque()
    for each in begun:
        waiting.append(each)
        if len(waiting) == _WAITING:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _carried(source: Source, blobs: S3Blobs, it: Wanted, there: int | None) -> Carried:
    try:
        size, md5 = _read(source, it)
    except OSError as error:
        return Carried(0, f"{it.owner} cannot be read ({error.strerror})")
    if it.size not in (None, size) or it.md5 not in (None, md5):
        return Carried(0, f"{it.owner} is not what its row says")
    if there != size or _there(blobs, it.name) != md5:
        _bring(source, blobs, it.name)
        if _there(blobs, it.name) != md5:
            return Carried(0, f"{it.owner} is read back from the object store as something else")
    return Carried(size)


def _read(source: Source, it: Wanted) -> tuple[int, str]:
    with source.path(it.name).open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        return file.tell(), md5


def _there(blobs: S3Blobs, name: str) -> str | None:
    """The MD5 of the bytes that are read from the store."""
    try:
        with blobs.open(name) as stored:
            return md5_of(stored)
    except Missing:
        return None


def _bring(source: Source, blobs: S3Blobs, name: str) -> None:
    draft = Draft(blobs.bucket, name)
    try:
        with source.path(name).open("rb") as file:
            while piece := file.read(_PIECE):
                draft.append([piece])
        draft.settle()
    finally:
        draft.drop()


def _hexadecimal(digest: str | None) -> str | None:
    """An MD5 in hexadecimal or base64; None for what is neither: some manifests say none."""
    if digest is None or len(digest) == 32:
        return digest
    try:
        data = base64.b64decode(digest, validate=True)
    except ValueError:
        return None
    return data.hex() if len(data) == 16 else None
