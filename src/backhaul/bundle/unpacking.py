"""Unpacking: what is whole comes out as it went in, the rest is named, and nothing else on the disk is touched."""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from backhaul.bundle.member import Member
from backhaul.bundle.opening import Bundle
from backhaul.bundle.piece import RAW_SIZE, Kind, Piece, expanded
from backhaul.bundle.progress import OnProgress, tell_nobody
from backhaul.bundle.reading import Found, Gap
from backhaul.bundle.safe_folder import NewFile, SafeFolder
from backhaul.errors import BackhaulError, BundleDamaged, DiskFull, UsageError
from backhaul.runs.life import RECORDING_NOTE
from backhaul.runs.new_file import FULL
from backhaul.runs.roots import BUNDLE_NOTE

_MOST_NAMED = 5
_IN_THE_WAY = frozenset({errno.EEXIST, errno.ENOTDIR, errno.ELOOP, errno.EISDIR})
# The hole is not closed: nothing was read behind it yet.
_OPEN = 1 << 32


@dataclass(frozen=True, slots=True)
class Hole:
    """A stretch of a volume that cannot be read; it holds something of the members `first` to `last`, by number."""

    volume: Path
    at: int
    length: int
    first: int
    last: int


@dataclass(slots=True)
class Unpacked:
    """What came of each file: `written`, `present` (it lay there already, the same), `damaged` and `taken` by name.

    `damaged` has the reason for each, `taken` names those that lie there with other content, or are no files there.
    `holes` are stretches of volumes that cannot be read.
    """

    written: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)
    taken: list[str] = field(default_factory=list)
    holes: list[Hole] = field(default_factory=list)

    @property
    def error(self) -> BackhaulError | None:
        """What a user has to be told, None when every file is there."""
        if self.damaged:
            told = _some([f"{name} ({reason})" for name, reason in self.damaged.items()])
            files = "1 file was" if len(self.damaged) == 1 else f"{len(self.damaged)} files were"
            return BundleDamaged(f"{files} hit by damage: {told}.")
        if self.taken:
            return UsageError(
                f"Other files have these names already: {_some(self.taken)}.",
                safe="They were left as they are, and every other file of the bundle is there.",
                next="Unpack into an empty folder.",
            )
        return None


def unpack(bundle: Bundle, folder: Path, *, on_progress: OnProgress = tell_nobody) -> Unpacked:
    """Put the files of a bundle below `folder`, which is made if it is not there.

    What lies there already with the same content is left, so an interrupted unpacking goes on. Raises DiskFull before
    anything is written when there is no room, or later, when others took it; UsageError when the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        safe = SafeFolder(folder.resolve())
        unpacking = _Unpacking(bundle, safe, on_progress)
        unpacking.look()
        _check_room(safe.path, unpacking.to_write)
        unpacking.run()
        unpacking.leave_notes()
    except OSError as error:
        raise _told(folder, error) from error
    return unpacking.done


@dataclass(slots=True)
class _Unpacking:
    """One bundle on its way out."""

    bundle: Bundle
    folder: SafeFolder
    on_progress: OnProgress
    done: Unpacked = field(default_factory=Unpacked)
    wanted: dict[int, Member] = field(default_factory=dict)
    current: _File | None = None
    before: int = 0

    @property
    def to_write(self) -> int:
        """Bytes of the files that are not there yet."""
        return sum(member.size for member in self.wanted.values())

    def look(self) -> None:
        """See what lies there already."""
        for member in self.bundle.manifest.members:
            try:
                size = self.folder.size_of(member.name)
                if size is None:
                    self.wanted[member.number] = member
                elif size == member.size and self._digest(member.name) == member.sha256:
                    self.done.present.append(member.name)
                else:
                    self.done.taken.append(member.name)
            except OSError:
                # A folder or link has the name, or a file that of a folder on the way.
                self.done.taken.append(member.name)

    def run(self) -> None:
        """Go through the volumes once."""
        try:
            for volume, found in self.bundle.pieces():
                if isinstance(found, Gap):
                    self._note_hole(volume, found)
                    continue
                self._close_holes(found.piece.member)
                if found.piece.kind is Kind.PART:
                    self._take(volume, found)
        finally:
            self._leave()
        accounted = {*self.done.written, *self.done.taken}
        for member in self.wanted.values():
            if member.name not in accounted:
                self.done.damaged[member.name] = self._why_lost(member)

    def _note_hole(self, volume: Path, gap: Gap) -> None:
        # A header that can be read says whose the piece was; else it is of what came before, or comes, or lies between.
        first, last = (gap.piece.member,) * 2 if gap.piece else (self.before, _OPEN)
        self.done.holes.append(Hole(volume, gap.at, gap.length, first, last))

    def _close_holes(self, member: int) -> None:
        for index in range(len(self.done.holes) - 1, -1, -1):
            if self.done.holes[index].last != _OPEN:
                break
            self.done.holes[index] = replace(self.done.holes[index], last=member)
        self.before = member

    def leave_notes(self) -> None:
        """Beside what was unpacked: where it came from, and which runs went on when they were packed."""
        for run in self.bundle.manifest.runs:
            if run.recording and run.log_member in self.done.written:
                self._note(f"{run.log_member}{RECORDING_NOTE}", f"packed at {self.bundle.manifest.made_at}\n".encode())
        if self.bundle.is_whole:
            self._note(f"{BUNDLE_NOTE}{self.bundle.manifest.bundle}.json", self.bundle.manifest.note().encoded())

    def _note(self, name: str, content: bytes) -> None:
        if self.folder.size_of(name) is None:
            file = self.folder.new_file(name)
            file.write(content)
            file.finish()

    def _take(self, volume: Path, found: Found) -> None:
        piece = found.piece
        if self.current is not None and self.current.member.number != piece.member:
            self._leave()
        member = self.wanted.get(piece.member)
        if member is None:
            return
        raw = expanded(piece, found.body)
        if raw is None:
            self.done.holes.append(Hole(volume, found.at, piece.whole_size, piece.member, piece.member))
            self._leave()
            return
        if self.current is None and piece.offset != member.at:
            return
        try:
            self.current = self.current or _File(member, self.folder)
            self._put(self.current, piece, raw)
        except OSError as error:
            if error.errno not in _IN_THE_WAY:
                raise
            # Somebody else, or the bundle itself, has put something else there meanwhile.
            self.current = None
            self.done.taken.append(member.name)

    def _put(self, current: _File, piece: Piece, raw: bytes) -> None:
        written = current.put(piece, raw)
        if written is None:
            self._leave()
            return
        self.on_progress(current.member.name, written)
        if current.is_whole:
            self.current = None
            current.finish()
            self.done.written.append(current.member.name)

    def _leave(self) -> None:
        """Give up the file that is being written: a part of it did not come."""
        if self.current is not None:
            self.current.abandon()
            self.current = None

    def _why_lost(self, member: Member) -> str:
        if self.bundle.volumes_missing:
            return "a volume that it is in is missing, or damaged"
        near = [hole for hole in self.done.holes if hole.first <= member.number <= hole.last]
        places = [f"{hole.volume.name} at byte {hole.at}" for hole in near]
        return f"damage in {_some(places)}" if places else "its content is not what the manifest says"

    def _digest(self, name: str) -> str:
        digest = hashlib.sha256()
        with self.folder.reading(name) as file:
            while block := file.read(RAW_SIZE):
                digest.update(block)
        return digest.hexdigest()


class _File:
    """A file that is being written: head, content and padding come piece by piece, without a gap."""

    def __init__(self, member: Member, folder: SafeFolder) -> None:
        self.member = member
        self._head = member.head()
        self._at = member.at
        self._left = member.size
        self._digest = hashlib.sha256()
        self._file: NewFile = folder.new_file(member.name, member.mtime_ns)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is to come any more."""
        return self._at == self.member.end

    def put(self, piece: Piece, raw: bytes) -> int | None:
        """Write what is content in a stretch of the tar; how many bytes. None when the file is not to be had whole."""
        if piece.offset != self._at or self._at + len(raw) > self.member.end:
            return None
        if self._at == self.member.at:
            if not raw.startswith(self._head):
                return None
            content = raw[len(self._head) :][: self._left]
        else:
            content = raw[: self._left]
        self._at += len(raw)
        self._left -= len(content)
        self._digest.update(content)
        self._file.write(content)
        whole_and_other = self.is_whole and self._digest.hexdigest() != self.member.sha256
        return None if whole_and_other else len(content)

    def finish(self) -> None:
        """It is whole, and gets its name. Raises FileExistsError when somebody else took that meanwhile."""
        self._file.finish()

    def abandon(self) -> None:
        """A part of it did not come: nothing of it stays."""
        self._file.abandon()


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _check_room(folder: Path, wanted: int) -> None:
    status = os.statvfs(folder)
    free = status.f_bavail * status.f_frsize
    if wanted > free:
        raise DiskFull(
            f"The files of the bundle need {wanted} bytes, and {free} are free at {folder}.",
            safe="Nothing was written.",
            next="Free some space, or unpack it elsewhere: `backhaul unpack FILE DIR`.",
        )


def _told(folder: Path, error: OSError) -> BackhaulError:
    if error.errno in FULL:
        return DiskFull(
            f"There is no room left at {folder}.",
            safe="The bundle is unchanged; the files that are there are whole.",
            next="Free some space, then run the same command again: it goes on.",
        )
    return UsageError(f"{folder} cannot be written: {error.strerror or error}.", next="Name another folder.")
