"""A piece: what the volumes of a bundle are made of. Pure: bytes to values and back.

A volume is a sequence of Zstandard frames, so that `zstd -d` reads it. Each piece begins with a header that every
Zstandard reader skips; it says of what bundle, volume and member the piece is, and has checksums of itself and of what
follows. So each piece can be checked, and unpacked, alone, and behind damage the next one is found by its header.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

import zstandard

# So much of the tar is in one piece at most: what one flipped byte costs, and all that is ever held in memory.
RAW_SIZE = 1 << 20
# Content that does not shrink grows a little.
_BODY_SIZE = RAW_SIZE + (RAW_SIZE >> 6)
# A Zstandard frame of nothing, at the head of each volume: by it `file` and `tar` know what they have before them.
VOLUME_HEAD = bytes.fromhex("28b52ffd240001000099e9d851")

# Skippable frame, its length, our name, version, kind, volume, member, bundle, place in the tar, raw size, body size,
# checksum of the body, checksum of the 52 bytes before.
_HEADER = struct.Struct("<II8sBBHI8sQIIII")
HEADER_SIZE = _HEADER.size
MAGIC = struct.pack("<I", 0x184D2A5B)
_NAME, _VERSION = b"backhaul", 1
MOST_VOLUMES = 0xFFFF
_OUTSIDE_LENGTH = 8
# Numbers of members that hold no file of a run: the manifest and its signature, each a second time.
MANIFEST, SIGNATURE, MANIFEST_AGAIN, SIGNATURE_AGAIN = range(0xFFFF_FFF0, 0xFFFF_FFF4)
FIRST_RESERVED = MANIFEST
# The tar's end is a member of its own: it belongs to nothing.
TAR_END = 0xFFFF_FFF4


class Kind(IntEnum):
    """What a piece holds: a stretch of the tar, what the manifest will say of a member that is whole, or the end."""

    PART = 1
    ENTRY = 2
    END = 3


@dataclass(frozen=True, slots=True)
class Piece:
    """The header of a piece.

    `offset` is the place in the tar of the first byte, `raw_size` the bytes of the tar in it, `size` the bytes of its
    body in the volume, `checksum` their CRC-32.
    """

    kind: Kind
    volume: int
    member: int
    bundle: bytes
    offset: int
    raw_size: int
    size: int
    checksum: int

    @property
    def whole_size(self) -> int:
        """Bytes of header and body."""
        return HEADER_SIZE + self.size


def piece_bytes(
    kind: Kind, *, volume: int, member: int, bundle: bytes, offset: int = 0, raw_size: int = 0, body: bytes
) -> bytes:
    """Header and body of a piece as they stand in a volume."""
    # The body of a part is a frame of its own; the others are for nobody else, and skipped together with the header.
    skipped = _HEADER.size - _OUTSIDE_LENGTH + (0 if kind is Kind.PART else len(body))
    fields = (_NAME, _VERSION, kind, volume, member, bundle, offset, raw_size, len(body), zlib.crc32(body))
    head = _HEADER.pack(int.from_bytes(MAGIC, "little"), skipped, *fields, 0)[:-4]
    return head + struct.pack("<I", zlib.crc32(head)) + body


def piece_at(data: bytes, at: int = 0) -> Piece | None:
    """The header that stands at `at`; None when none does, or a hurt one."""
    if len(data) - at < _HEADER.size or not data.startswith(MAGIC, at):
        return None
    _, _, name, version, kind, *fields, checksum = _HEADER.unpack_from(data, at)
    if name != _NAME or version != _VERSION or checksum != zlib.crc32(data[at : at + _HEADER.size - 4]):
        return None
    if kind not in set(Kind):
        return None
    piece = Piece(Kind(kind), *fields)
    return piece if piece.size <= _BODY_SIZE and piece.raw_size <= RAW_SIZE else None


def compressed(raw: bytes, level: int) -> bytes:
    """A stretch of the tar as a frame, which has its length and a checksum in it."""
    return zstandard.ZstdCompressor(level=level, write_checksum=True, write_content_size=True).compress(raw)


def expanded(piece: Piece, body: bytes) -> bytes | None:
    """The stretch of the tar that is in a part; None when the frame is not what its header says, whatever it is then.

    Never makes more than `RAW_SIZE` bytes, whatever the frame claims.
    """
    try:
        if zstandard.frame_content_size(body) != piece.raw_size:
            return None
        return zstandard.ZstdDecompressor().decompress(
            body, max_output_size=RAW_SIZE, read_across_frames=False, allow_extra_data=False
        )
    except zstandard.ZstdError:
        return None
