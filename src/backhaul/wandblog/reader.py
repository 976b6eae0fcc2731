"""Reading a log: every whole record of any SDK from 0.10 to 0.31, and a name for how the file ends."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from backhaul.errors import NotAWandbLog, UnreadableFile
from backhaul.wandblog.framing import FILE_HEADER, Damage, DamageKind, Framing
from backhaul.wandblog.identify import describe, is_log_header
from backhaul.wandblog.schema import DecodeError, Record


class LogEnd(StrEnum):
    """How a log ends. A kill of the writer leaves anything but `COMPLETE`."""

    COMPLETE = "complete"
    NO_EXIT = "no exit record"
    TORN = "torn"
    HEADER_ONLY = "header only"
    EMPTY = "empty"


class LogRecord(NamedTuple):
    """A decoded record: its file offset, its bytes as written, its type's field name (None: unknown), the message."""

    offset: int
    data: bytes
    kind: str | None
    message: Any


class LogReader:
    """The records of one log, in constant memory.

    Iterate once; afterwards `end`, `damage` and `size` (bytes read) tell how it went. Raises `UnreadableFile` when the
    file cannot be opened or read and `NotAWandbLog` when its first bytes are not those of a log. Damage never raises.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.end = LogEnd.EMPTY
        self.size = 0
        self.damage: list[Damage] = []

    def __iter__(self) -> Iterator[LogRecord]:
        try:
            with self.path.open("rb") as file:
                yield from self._read(file)
        except OSError as error:
            raise UnreadableFile(f"{self.path} cannot be read: {error.strerror or error}") from error

    @property
    def losses(self) -> list[Damage]:
        """Damage that may have cost records other than the newest: all but a torn tail and zero fill."""
        harmless = (DamageKind.TORN, DamageKind.ZEROED)
        return [damage for damage in self.damage if damage.kind not in harmless]

    def _read(self, file: BinaryIO) -> Iterator[LogRecord]:
        head = file.read(512)
        if not check_header(self.path, head):
            return
        self.end = LogEnd.HEADER_ONLY
        framing = Framing(file)
        exit_seen = False
        undecodable: list[Damage] = []
        parse = Record.FromString
        for offset, data in framing:
            try:
                message = parse(data)
            except DecodeError:
                undecodable.append(Damage(offset, len(data), DamageKind.UNDECODABLE))
                continue
            kind = message.WhichOneof("record_type")
            if kind == "exit":
                exit_seen = True
            self.end = LogEnd.NO_EXIT
            yield LogRecord(offset, data, kind, message)
        self.size = file.tell()
        self.damage = sorted([*framing.damage, *undecodable], key=lambda damage: damage.offset)
        self._name_end(exit_seen)

    def _name_end(self, exit_seen: bool) -> None:
        if exit_seen:
            self.end = LogEnd.COMPLETE
        elif any(damage.kind is DamageKind.TORN for damage in self.damage):
            self.end = LogEnd.TORN


def check_header(path: Path, head: bytes) -> bool:
    """Whether a log starts here; False for an empty file or one torn inside its header.

    Raises `NotAWandbLog`, saying what the bytes are instead. A version byte above 0 is accepted: record types that are
    newer than this reader are carried as they are.
    """
    if len(head) < len(FILE_HEADER) and FILE_HEADER.startswith(head):
        return False
    if not is_log_header(head):
        raise NotAWandbLog(f"{path} is not a W&B log: it is {describe(head)}.")
    return True
