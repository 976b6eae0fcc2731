"""Where a depot keeps what it has."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from backhaul.depot.keys import Secrets
from backhaul.depot.store import Blobs, Keeping, folders, unfinished
from backhaul.depot.store.database import Database
from backhaul.depot.store.folder import FolderBlobs
from backhaul.depot.store.interface import Clock
from backhaul.depot.store.opening import open_database, without_password
from backhaul.depot.store.s3.place import S3Place
from backhaul.depot.store.secrets import shared
from backhaul.depot.store.sql_store import SqlStore
from backhaul.depot.store.unusable import PlaceRefused

DATABASE = "depot.sqlite"


@dataclass(frozen=True, slots=True)
class Place:
    """A folder: for the bytes of files, and for the database with everything else.

    With `blobs` the bytes of files lie in an object store. With `database` everything else lies in the PostgreSQL
    database at that address, by which several depots share all they have.
    """

    data: Path
    blobs: S3Place | None = None
    database: str | None = None

    def __str__(self) -> str:
        return f"{self.data} and {without_password(self.database)}" if self.database else str(self.data)

    @property
    def shared(self) -> bool:
        """Whether other depots may work over the same place at the same time."""
        return self.database is not None

    def lock(self) -> int:
        """The descriptor that holds the folder. The system frees it when the process ends, however it ends.

        Raises OSError when the folder cannot be written, RuntimeError when it is, or was, a depot's that shares it not.
        """
        folders.make(self.data)
        if self.shared and (self.data / DATABASE).exists():
            raise RuntimeError(f"{DATABASE} is there: a folder belongs to a database of its own, or to a shared one")
        descriptor = os.open(self.data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if self.shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise RuntimeError(f"another depot is using {self.data}") from None
        return descriptor

    def open_blobs(self) -> Blobs:
        """The bytes of files. Raises OSError, and PlaceRefused when an object store cannot be used as it is."""
        if self.blobs is None:
            return FolderBlobs(self.data / "blobs")
        try:
            from backhaul.depot.store.s3.blobs import S3Blobs
        except ImportError as error:
            raise PlaceRefused("s3:// needs another package: pip install 'backhaul[s3]'") from error
        return S3Blobs.at(self.blobs)

    def open_database(self) -> Database:
        """The database. Raises OSError when it cannot be used, RuntimeError when it belongs to a newer depot."""
        folders.make(self.data)
        return open_database(self.database or self.data / DATABASE)

    def open_store(self, clock: Clock = time.time) -> Keeping:
        """All but the bytes of files. Raises as `open_database` does."""
        return SqlStore(self.open_database(), clock)

    def secrets(self) -> Secrets:
        """The secrets of all depots over this place. Raises as `open_database` does."""
        if self.database is None:
            folders.make(self.data)
            return Secrets.in_folder(self.data)
        with closing(self.open_database()) as database:
            if database.read(unfinished.mark_of):
                raise RuntimeError(unfinished.WORDS)
            return Secrets(lambda name, fresh: shared(database, name, fresh))
