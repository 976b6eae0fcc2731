"""Pieces: what stands in a volume is known by its own checksums, and costs no more than it may."""

from __future__ import annotations

import random

import pytest
import zstandard

from backhaul.bundle.piece import HEADER_SIZE, RAW_SIZE, VOLUME_HEAD, Kind, compressed, expanded, piece_at, piece_bytes

_RAW = b"some of a tar" * 100
_BUNDLE = b"12345678"


def _part(body: bytes, raw_size: int = len(_RAW)) -> bytes:
    return piece_bytes(Kind.PART, volume=2, member=3, bundle=_BUNDLE, offset=1 << 40, raw_size=raw_size, body=body)


def test_a_header_says_what_it_was_made_of() -> None:
    """Every field comes back, also from the middle of other bytes."""
    body = compressed(_RAW, 3)
    piece = piece_at(b"before" + _part(body), 6)
    assert piece is not None
    assert (piece.kind, piece.volume, piece.member, piece.bundle) == (Kind.PART, 2, 3, _BUNDLE)
    assert (piece.offset, piece.raw_size, piece.size) == (1 << 40, len(_RAW), len(body))
    assert piece.whole_size == len(_part(body))
    assert expanded(piece, body) == _RAW


def test_a_header_with_any_bit_flipped_is_none() -> None:
    """Each of its 448 bits counts."""
    header = _part(compressed(_RAW, 3))[:HEADER_SIZE]
    assert piece_at(header) is not None
    for bit in range(8 * HEADER_SIZE):
        hurt = bytearray(header)
        hurt[bit // 8] ^= 1 << bit % 8
        assert piece_at(bytes(hurt)) is None, bit
    assert piece_at(header[:-1]) is None


@pytest.mark.parametrize("kind", list(Kind))
def test_every_zstandard_reader_passes_over_what_is_not_of_the_tar(kind: Kind) -> None:
    """Decompressed as one stream, volumes give the bodies of parts, and of nothing else."""
    body = compressed(_RAW, 3) if kind is Kind.PART else b"for ourselves"
    piece = piece_bytes(kind, volume=1, member=0, bundle=_BUNDLE, raw_size=0, body=body)
    stream = zstandard.ZstdDecompressor().stream_reader(VOLUME_HEAD + piece, read_across_frames=True)
    assert stream.read() == (_RAW if kind is Kind.PART else b"")


def test_a_frame_gives_no_more_than_its_header_says() -> None:
    """A frame that claims or holds more than the piece is not unpacked; nor is one with something behind it."""
    large = zstandard.ZstdCompressor().compress(bytes(RAW_SIZE * 100))
    no_size = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(RAW_SIZE * 100))
    good = compressed(_RAW, 3)
    for body in (large, no_size, good + b"more", good[:-1], good + good, b"", random.Random(1).randbytes(500)):
        piece = piece_at(_part(body))
        assert piece is not None
        assert expanded(piece, body) is None


def test_a_piece_larger_than_any_is_none() -> None:
    """What a header may claim is bounded, so that nobody reads or makes more than a megabyte at its word."""
    assert piece_at(_part(b"", raw_size=RAW_SIZE)) is not None
    assert piece_at(_part(b"", raw_size=RAW_SIZE + 1)) is None
    assert piece_at(_part(bytes(2 * RAW_SIZE))) is None
