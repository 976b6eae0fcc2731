"""A bundle on its way to the disk: volumes under a name by which nothing takes them for a bundle, until all are whole.

They lie in the folder `.NAME.unfinished` beside the place of the bundle. What an interruption leaves there is read when
the same bundle is packed again: every piece has a checksum, so what is whole is known without any other record.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self

from backhaul.bundle.piece import HEADER_SIZE, MOST_VOLUMES, RAW_SIZE, VOLUME_HEAD, Kind, piece_bytes
from backhaul.bundle.reading import Found, Gap, first_piece, pieces
from backhaul.errors import BackhaulError, DiskFull, RunBusy, UsageError
from backhaul.runs.new_file import FULL, already_there, name_file, sync_folder, unwritable

# A volume must hold a piece at least.
SMALLEST_VOLUME = 2 * RAW_SIZE
_NUMBER = re.compile(r"\d{3,}")
# Also a file system whose files cannot be that large: volumes help.
_NO_ROOM = FULL | {errno.EFBIG}


class Mark(NamedTuple):
    """A place in the volumes: number, and bytes from the volume's start."""

    volume: int
    at: int


class Output:
    """The volumes of the bundle that is to be `target`; each smaller than `split` bytes if that is given.

    Raises UsageError when `target` is there already or cannot be made, RunBusy when another process packs to it,
    DiskFull.
    """

    def __init__(self, target: Path, split: int | None) -> None:
        if split is not None and split < SMALLEST_VOLUME:
            raise UsageError(f"Volumes of {split} bytes are too small.", next="Give --split 2M or more.")
        self.target = target
        self.bundle = secrets.token_bytes(8)
        self._split = split
        self._folder = target.with_name(f".{target.name}.unfinished")
        self._file: BinaryIO | None = None
        self._volume = 0
        self._lock = -1

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(exist_ok=True)
            self._lock = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._adopt()
        except BlockingIOError:
            # The folder is the other one's, also while nothing is in it yet.
            os.close(self._lock)
            raise RunBusy(
                f"Another process is packing to {self.target}.",
                safe="Nothing was changed.",
                next="Wait until it has ended, or name another place with -o.",
            ) from None
        except OSError as error:
            self._let_go()
            raise unwritable(self.target, error) from error
        except BackhaulError:
            self._let_go()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            # What did not fit on the disk was told before, and does not fit now either.
            with suppress(OSError):
                self._file.close()
        self._let_go()

    @property
    def mark(self) -> Mark:
        """Where the next piece goes, if the volume has room for it."""
        return Mark(self._volume, self._file.tell()) if self._file is not None else Mark(0, 0)

    def left_over(self) -> Iterator[tuple[Found | Gap, Mark]]:
        """What an interruption left, piece for piece, each with the place behind it."""
        for number in sorted(self._numbers()):
            for found in pieces(self._path(number), self.bundle):
                yield found, Mark(number, found.end if isinstance(found, Found) else found.at)

    def cut(self, mark: Mark) -> None:
        """Take away everything behind `mark`; the next piece goes there."""
        try:
            self._close()
            for number in self._numbers():
                if number > mark.volume:
                    self._hide(number)
                    (self._folder / f"{number:03}").unlink()
            self._volume = mark.volume
            if mark.volume:
                self._hide(mark.volume)
                self._file = self._path(mark.volume).open("r+b", buffering=RAW_SIZE)
                self._file.truncate(mark.at)
                self._file.seek(mark.at)
        except OSError as error:
            raise self._told(error) from error

    def add(self, kind: Kind, body: bytes, *, member: int, offset: int = 0, raw_size: int = 0) -> Mark:
        """Put a piece at the end, in a new volume if it needs one; where it lies."""
        try:
            file = self._with_room(HEADER_SIZE + len(body))
            mark = self.mark
            file.write(
                piece_bytes(
                    kind,
                    volume=self._volume,
                    member=member,
                    bundle=self.bundle,
                    offset=offset,
                    raw_size=raw_size,
                    body=body,
                )
            )
        except OSError as error:
            raise self._told(error) from error
        return mark

    def make_room(self, size: int) -> int:
        """See to it that the next `size` bytes go into one volume; its number."""
        try:
            self._with_room(size)
        except OSError as error:
            raise self._told(error) from error
        return self._volume

    def finish(self) -> list[Path]:
        """Give every volume its name, the last one last; they are on the disk then. Returns them in order."""
        try:
            self._close()
            numbers = sorted(self._numbers())
            sync_folder(self._folder)
            for number in numbers:
                self._name(self._folder / f"{number:03}", self._final(number))
            sync_folder(self.target.parent)
        except OSError as error:
            raise self._told(error) from error
        return [self._final(number) for number in numbers]

    def _adopt(self) -> None:
        """Take over what an interruption left, if it can be gone on with."""
        hidden = [path for path in self._folder.iterdir() if _NUMBER.fullmatch(path.name)]
        firsts = [first for path in sorted(hidden) if (first := first_piece(path)) is not None]
        if firsts:
            self.bundle = firsts[0].bundle
        numbers = self._numbers()
        fits = all(self._path(number).stat().st_size < (self._split or 1 << 62) for number in numbers)
        in_order = numbers == set(range(1, len(numbers) + 1)) and (self._split is not None or numbers <= {1})
        if firsts and fits and in_order:
            self._refuse_if_there({self._final(number) for number in numbers})
            return
        self._refuse_if_there(set())
        for path in hidden:
            path.unlink()
        self.bundle = secrets.token_bytes(8)

    def _refuse_if_there(self, own: set[Path]) -> None:
        for path in (self.target, *sorted(self._named())):
            if path not in own and os.path.lexists(path):
                raise already_there(path)

    def _named(self) -> Iterator[Path]:
        """Files with the names of volumes of this target."""
        before = f"{self.target.name}."
        for path in self.target.parent.iterdir():
            if path.name.startswith(before) and _NUMBER.fullmatch(path.name.removeprefix(before)):
                yield path

    def _numbers(self) -> set[int]:
        """The volumes that there are, under either name: a kill may have come between two renames."""
        hidden = {int(path.name) for path in self._folder.iterdir() if _NUMBER.fullmatch(path.name)}
        if not hidden:
            return set()
        named = range(1, max(hidden))
        return hidden | {number for number in named if self._is_ours(self._final(number))}

    def _is_ours(self, path: Path) -> bool:
        if not path.is_file():
            return False
        first = first_piece(path)
        return first is not None and first.bundle == self.bundle

    def _path(self, number: int) -> Path:
        hidden = self._folder / f"{number:03}"
        return self._final(number) if not hidden.exists() and self._is_ours(self._final(number)) else hidden

    def _final(self, number: int) -> Path:
        return self.target if self._split is None else self.target.with_name(f"{self.target.name}.{number:03}")

    def _name(self, hidden: Path, final: Path) -> None:
        if not hidden.exists():
            return
        # A kill may have come between the new name and the loss of the old one.
        if not (final.exists() and final.samefile(hidden)):
            name_file(hidden, final, replace=False)
        hidden.unlink(missing_ok=True)

    def _hide(self, number: int) -> None:
        """A volume that has its name already is not finished after all."""
        hidden, final = self._folder / f"{number:03}", self._final(number)
        if not hidden.exists():
            final.rename(hidden)
        elif final.exists() and final.samefile(hidden):
            final.unlink()

    def _with_room(self, size: int) -> BinaryIO:
        file = self._file
        if file is not None and (self._split is None or file.tell() + size < self._split):
            return file
        self._close()
        if self._volume == MOST_VOLUMES:
            raise UsageError(f"There would be more than {MOST_VOLUMES} volumes.", next="Give a larger --split.")
        self._volume += 1
        # Not made in place of anything: what was left over has been cut back to before it.
        self._file = file = (self._folder / f"{self._volume:03}").open("xb", buffering=RAW_SIZE)
        file.write(VOLUME_HEAD)
        return file

    def _close(self) -> None:
        """The volume that is being written is whole, and on the disk."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None

    def _let_go(self) -> None:
        with suppress(OSError):
            # Only when nothing is left in it.
            self._folder.rmdir()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _told(self, error: OSError) -> BackhaulError:
        if error.errno in _NO_ROOM:
            return DiskFull(
                f"There is no room left for {self.target}: {error.strerror}.",
                safe=f"Your run directories are unchanged; what was packed is kept in {self._folder}.",
                next="Free some space, or pack in volumes (--split), then run the same command again: it goes on.",
            )
        return unwritable(self.target, error)
