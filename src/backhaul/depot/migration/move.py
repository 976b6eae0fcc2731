"""The whole move: bytes first, then the rows that name them, then everything is compared, then it may be used."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from backhaul.depot.migration import bytes as blobs_of
from backhaul.depot.migration import tables
from backhaul.depot.migration.source import Source, opened
from backhaul.depot.refusal import Refused
from backhaul.depot.store import unfinished
from backhaul.depot.store.database import Connection, Database
from backhaul.depot.store.opening import open_database
from backhaul.depot.store.s3.blobs import S3Blobs
from backhaul.depot.store.s3.place import S3Place

Tell = Callable[[str], None]

_TOLD = 5
_EVERY = 1000  # blobs


class Different(Exception):
    """What is there is not what is here; or the source itself lacks bytes that its rows name."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a depot moves to. Without a `database` only the bytes of files move."""

    blobs: S3Place
    database: str | None = None


def migrate(folder: Path, target: Target, tell: Tell) -> None:
    """Moves the depot in `folder`; `tell` hears how far it is. Run again, it goes on where it was interrupted.

    The source is only read. Raises RuntimeError when it is in use or the target is not empty, OSError when one of them
    cannot be reached, Refused when that happens in the middle, and Different when what arrived is not what was sent.
    """
    with opened(folder) as source:
        whose = _identity(source)
        blobs = S3Blobs.at(target.blobs, moving=True)
        if target.database is None:
            _claim_bucket(blobs, whose)
            _carry_blobs(source, blobs, tell)
        else:
            with closing(open_database(target.database)) as database:
                _claim(database, blobs, whose)
                _carry_blobs(source, blobs, tell)
                _carry_rows(source, database, tell)
                database.write(lambda c: _finish(c, source))
        blobs.destroy(unfinished.NAME)


def _identity(source: Source) -> str:
    """What tells a depot from every other one, and gives nothing away."""
    return hashlib.sha256(b"migration" + source.secrets.signing).hexdigest()


def _claim(database: Database, blobs: S3Blobs, whose: str) -> None:
    """Both are empty, or both have our mark. That on the bucket is the first to be made."""
    found = database.read(unfinished.mark_of)
    if found != whose and (found or not database.read(_is_empty)):
        raise RuntimeError("the database is not empty: give one in which nothing is, or a schema of its own")
    _claim_bucket(blobs, whose)
    if found is None:
        database.write(lambda c: c.execute("INSERT INTO secrets VALUES (?, ?)", (unfinished.NAME, whose)))


def _claim_bucket(blobs: S3Blobs, whose: str) -> None:
    bucket = blobs.bucket
    found = next(bucket.found(""), None)
    if bucket.head(unfinished.NAME):
        if blobs.read(unfinished.NAME).decode() != whose:
            raise RuntimeError(f"{bucket.place} is where another depot is moving to: give another prefix")
    elif found:
        raise RuntimeError(f"{bucket.place} is not empty: give a prefix under which nothing is")
    else:
        bucket.put(unfinished.NAME, whose.encode())


def _is_empty(connection: Connection) -> bool:
    names = (*tables.ORDER, *tables.MADE_ANEW, "secrets")
    return all(connection.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone() is None for name in names)


def _carry_blobs(source: Source, blobs: S3Blobs, tell: Tell) -> None:
    count = size = 0

    def note(done: blobs_of.Carried) -> None:
        nonlocal count, size
        count, size = count + 1, size + done.size
        if count % _EVERY == 0:
            tell(f"{count} blobs, {size} bytes so far")

    faults = blobs_of.carry(source, blobs, note)
    if faults:
        raise Different(f"{len(faults)} of {count} blobs cannot be moved: {'; '.join(faults[:_TOLD])}")
    tell(f"{count} blobs, {size} bytes: all there, read back with size and MD5")


def _carry_rows(source: Source, database: Database, tell: Tell) -> None:
    for name in tables.ORDER:
        it = database.read(lambda c, name=name: tables.table(source.database, c, name))  # type: ignore[misc]
        try:
            tables.copy(source.database, database, it)
        except Refused as refused:
            raise Refused(f"the table {name}: {refused.message}", refused.status) from refused
        here, there = tables.sum_here(source.database, it), tables.sum_there(database, it)
        if here != there:
            raise Different(f"the table {name} has {here.rows} rows here and {there.rows} there, or others")
        tell(f"{name}: {here.rows} rows, the same here and there (digest {here.digest[:16]})")


def _finish(connection: Connection, source: Source) -> None:
    """From now on depots may work there, with the keys that were there before."""
    connection.execute("DELETE FROM secrets WHERE name = ?", (unfinished.NAME,))
    secrets = [("api-key", source.secrets.api_key), ("signing-secret", source.secrets.signing.hex())]
    connection.executemany("INSERT INTO secrets VALUES (?, ?)", secrets)
