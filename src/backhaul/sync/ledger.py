"""The ledger: a fragment's durable memory of what each destination has acknowledged.

An append-only file beside the log (`run-ID.wandb.backhaul`), one entry a line: eight hex digits of CRC-32 over the
rest, a space, and a JSON object with `to` (the destination) and `what`. Each entry is fsynced before the next thing
happens. A torn or damaged line counts as not written: what it said is asked of the server again, and sending again is
free. Long ledgers are written anew, shorter, and renamed into place. Where the run directory is not writable, or is a
copy that a bundle was unpacked to for a while, the ledger lies in the user's state folder under a name made from the
log's identity.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from backhaul.errors import BackhaulError, DiskFull, LedgerUnwritable
from backhaul.runs.new_file import FULL
from backhaul.sync.ledger_lock import LedgerLock
from backhaul.sync.progress import Progress
from backhaul.sync.state_folder import comes_and_goes

SUFFIX = ".backhaul"
# Of the state folder.
_FOLDER = "ledgers"
_COMPACT_AFTER_ENTRIES = 2000
_IDENTITY_BYTES = 4096
_NOT_HERE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class Ledger:
    """One fragment's ledger, open for one writer at a time.

    Raises `RunBusy` while another process has it, `DiskFull` when an entry cannot be written for lack of space or
    quota, `LedgerUnwritable` when there is no place to write it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._progress: dict[str, Progress] = {}
        self._entries = 0
        # The file does not end with a whole line: the next entry must begin on a line of its own.
        self._is_torn = False
        self._lock = LedgerLock(path)
        # Lines and files of one run are acknowledged at the same time, each in a thread.
        self._writing = threading.Lock()

    @classmethod
    def open(cls, log: Path, state_folder: Path) -> Ledger:
        """Open the ledger of the run whose log is at `log`, beside it or else in `state_folder`.

        The one there begins with what one beside the log says, where that can be read and not written.
        """
        beside, first = _beside(log), b""
        if not comes_and_goes(log, state_folder):
            try:
                return cls(beside)._begin()
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise _told(beside, error) from error
            first = _content_of(beside) or b""
        elsewhere = _elsewhere(log, state_folder)
        try:
            elsewhere.parent.mkdir(parents=True, exist_ok=True)
            return cls(elsewhere)._begin(first)
        except OSError as error:
            raise _told(elsewhere, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let others write."""
        self._lock.release()

    def progress(self, to: str) -> Progress:
        """What the destination `to` has acknowledged."""
        return self._progress.get(to, Progress())

    def record(self, to: str, *entries: Mapping[str, Any]) -> Progress:
        """Keep entries about `to` for ever; durable when this returns. Returns the progress after them."""
        with self._writing:
            progress = self.progress(to)
            for entry in entries:
                progress = progress.after(entry)
            self._write(b"".join(_line({"to": to, **entry}) for entry in entries))
            self._progress[to] = progress
            self._entries += len(entries)
            if self._entries > _COMPACT_AFTER_ENTRIES:
                self._compact()
            return progress

    def _begin(self, first: bytes = b"") -> Ledger:
        """Take the file; one that is new begins with `first`."""
        content = self._lock.acquire()
        try:
            if first and not content:
                self._lock.append(first)
                content = first
            self._progress, self._entries = _replay(content)
            self._is_torn = bool(content) and not content.endswith(b"\n")
        except BaseException:
            self._lock.release()
            raise
        return self

    def _write(self, data: bytes) -> None:
        begun_anew, self._is_torn = b"\n" if self._is_torn else b"", True
        try:
            self._lock.append(begun_anew + data)
        except OSError as error:
            raise _told(self.path, error) from error
        self._is_torn = False

    def _compact(self) -> None:
        lines = [_line({"to": to, **entry}) for to, progress in self._progress.items() for entry in progress.entries()]
        if len(lines) * 2 < self._entries:
            try:
                self._lock.replace(b"".join(lines))
            except OSError as error:
                # A shorter one would be nice; on a full disk the long one, which has room, does as well.
                if error.errno not in FULL:
                    raise _told(self.path, error) from error
        self._entries = len(lines)


def read_ledger(log: Path, state_folder: Path) -> Mapping[str, Progress]:
    """What the ledger says of each destination, without opening it for writing; one that cannot be read is empty."""
    beside = _beside(log)
    is_here = not comes_and_goes(log, state_folder)
    content = _content_of(beside) if is_here and os.access(beside, os.W_OK) else None
    # To make the log's name there, its beginning has to be read: not where nothing ever was.
    if content is None and (state_folder / _FOLDER).is_dir():
        content = _content_of(_elsewhere(log, state_folder))
    if content is None and is_here:
        content = _content_of(beside)
    return _replay(content or b"")[0]


def _beside(log: Path) -> Path:
    return log.with_name(log.name + SUFFIX)


def _elsewhere(log: Path, state_folder: Path) -> Path:
    return state_folder / _FOLDER / f"{_identity(log)}{SUFFIX}"


def _content_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _replay(content: bytes) -> tuple[dict[str, Progress], int]:
    progress: dict[str, Progress] = {}
    entries = 0
    for line in content.split(b"\n"):
        entry = _entry(line)
        if entry is None:
            continue
        try:
            progress[entry["to"]] = progress.get(entry["to"], Progress()).after(entry)
        except (KeyError, TypeError, ValueError):
            # Written by a newer Backhaul: what it acknowledged will be asked of the server again.
            continue
        entries += 1
    return progress, entries


def _line(entry: Mapping[str, Any]) -> bytes:
    text = json.dumps(entry, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _entry(line: bytes) -> dict[str, Any] | None:
    checksum, _, text = line.partition(b" ")
    if not text or checksum != b"%08x" % zlib.crc32(text):
        return None
    entry = json.loads(text)
    return entry if isinstance(entry, dict) else None


def _identity(log: Path) -> str:
    """A name for the log that does not depend on where it lies: of its first bytes, which hold id and start time."""
    try:
        with log.open("rb") as file:
            head = file.read(_IDENTITY_BYTES)
    except OSError:
        head = os.fsencode(log)
    return f"{log.stem}-{hashlib.sha256(head).hexdigest()[:16]}"


def _told(path: Path, error: OSError) -> BackhaulError:
    if error.errno in FULL:
        return DiskFull(f"The ledger {path} cannot be written: {error.strerror}.")
    return LedgerUnwritable(f"The ledger {path} cannot be written: {error.strerror or error}.")
