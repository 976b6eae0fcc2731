"""The pieces of a volume, one after another, and the gaps where none can be read."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from backhaul.bundle.piece import HEADER_SIZE, MAGIC, RAW_SIZE, VOLUME_HEAD, Piece, piece_at
from backhaul.errors import UnreadableFile

_WINDOW = 1 << 20
# Within so many bytes of a volume's head there is a piece, even when the first one is hurt.
_HEAD_SEARCHED = 4 * RAW_SIZE


@dataclass(frozen=True, slots=True)
class Found:
    """A piece with its body, whose checksum holds; `at` is its place in the volume."""

    piece: Piece
    at: int
    body: bytes

    @property
    def end(self) -> int:
        """The place behind it."""
        return self.at + self.piece.whole_size


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes of a volume that give no piece; `piece` is what should be there, where its header can still be read."""

    at: int
    length: int
    piece: Piece | None = None


def pieces(path: Path, bundle: bytes, start: int = 0) -> Iterator[Found | Gap]:
    """Everything in a volume of the bundle from `start` on, in constant memory. Raises UnreadableFile."""
    try:
        with path.open("rb") as file:
            yield from _pieces(file, bundle, max(start, len(VOLUME_HEAD)))
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror or error}") from error


def first_piece(path: Path) -> Piece | None:
    """The first piece in a file, whatever bundle it is of; None when the file is no volume. Raises OSError."""
    with path.open("rb") as file:
        at = _next_header(file, 0, None, _HEAD_SEARCHED)
        if at is None:
            return None
        file.seek(at)
        return piece_at(file.read(HEADER_SIZE))


def _pieces(file: BinaryIO, bundle: bytes, at: int) -> Iterator[Found | Gap]:
    size = file.seek(0, 2)
    while at < size:
        file.seek(at)
        piece = piece_at(file.read(HEADER_SIZE))
        if piece is None or piece.bundle != bundle:
            following = _next_header(file, at + 1, bundle, size)
            end = size if following is None else following
            yield Gap(at, end - at)
            at = end
            continue
        body = file.read(piece.size)
        if len(body) == piece.size and zlib.crc32(body) == piece.checksum:
            yield Found(piece, at, body)
        else:
            yield Gap(at, min(piece.whole_size, size - at), piece)
        # The header's own checksum holds, so its length is believed.
        at += piece.whole_size


def _next_header(file: BinaryIO, at: int, bundle: bytes | None, stop: int) -> int | None:
    """Where the next piece begins; one of another bundle, carried as a payload inside this one, does not count."""
    while at < stop:
        file.seek(at)
        window = file.read(_WINDOW + HEADER_SIZE)
        found = window.find(MAGIC)
        while 0 <= found < _WINDOW:
            piece = piece_at(window, found)
            if piece is not None and bundle in (None, piece.bundle):
                return at + found
            found = window.find(MAGIC, found + 1)
        if len(window) < _WINDOW + HEADER_SIZE:
            return None
        at += _WINDOW
    return None
