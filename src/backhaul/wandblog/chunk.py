"""Chunks: the checksummed pieces of which a `.wandb` file is made, and the file header in front of them.

The file starts with seven bytes: ``:W&B``, the magic 0xBEE1 (little endian) and a version byte, 0 so far. After that
come blocks of 32 KiB, counted from the file's first byte, so that block 0 has seven bytes less. A block is a row of
chunks; each chunk has a header of seven bytes, little endian: CRC-32 (IEEE, over type and payload), payload length
(u16), type (u8). A record is one FULL chunk, or FIRST, MIDDLE…, LAST. No chunk crosses a block's end; a remainder too
short for a header is filled with zeros. This is LevelDB's log format with another checksum and a file header in front.

Sources: bytes on disk of SDK 0.10 to 0.31 (docs/internals/wandb-log.md).
"""

from __future__ import annotations

import struct

from isal import isal_zlib

FILE_HEADER = b":W&B\xe1\xbe\x00"
# Identity and magic; the seventh byte is the format's version.
FILE_MAGIC = FILE_HEADER[:6]
BLOCK_SIZE = 32768
CHUNK_HEADER_SIZE = 7
MAX_PAYLOAD = BLOCK_SIZE - CHUNK_HEADER_SIZE
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4

CHUNK_HEADER = struct.Struct("<IHB")
# The checksum of the type byte alone, from which that of the payload goes on.
SEEDS = {kind: isal_zlib.crc32(bytes([kind])) for kind in (FULL, FIRST, MIDDLE, LAST)}


def chunk(kind: int, payload: bytes) -> bytes:
    """A chunk of the given type; `payload` has at most `MAX_PAYLOAD` bytes."""
    return CHUNK_HEADER.pack(isal_zlib.crc32(payload, SEEDS[kind]), len(payload), kind) + payload


def is_true_chunk(window: bytes, position: int, limit: int) -> bool:
    """Whether a chunk that lies wholly before `limit` starts at `position`: type, length and checksum all hold."""
    if position + CHUNK_HEADER_SIZE > limit:
        return False
    checksum: int
    checksum, length, kind = CHUNK_HEADER.unpack_from(window, position)
    payload = position + CHUNK_HEADER_SIZE
    if kind not in SEEDS or length > MAX_PAYLOAD or payload + length > limit:
        return False
    return isal_zlib.crc32(window[payload : payload + length], SEEDS[kind]) == checksum
