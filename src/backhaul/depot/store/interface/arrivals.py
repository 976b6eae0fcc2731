"""Bytes that clients bring to the place of the blobs themselves, as the depot asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from backhaul.depot.model import Blob


class Arrivals(Protocol):
    """Objects under names that the depot chose, which clients PUT at signed addresses. Each is a blob, once it came.

    Nobody tells when one comes: it is looked for. The store writes an object as a whole or not at all, and takes only
    bytes of the MD5 that an address was made for.
    """

    def address(self, name: str, md5: str) -> str:
        """Where bytes with that MD5 (hexadecimal) may be PUT, with it in the header `Content-MD5`."""

    def part_addresses(self, name: str, parts: tuple[str, ...]) -> list[str]:
        """Where parts with these MD5s may be PUT. Asked again, they are those of the same upload, with what came."""

    def came(self, start: str) -> Iterator[Blob]:
        """Those that came whole, by the start of their names. Size and MD5 are those of the bytes that are there."""

    def among(self, start: str, names: set[str]) -> list[Blob]:
        """Those of these names, which all start so, that came whole; it takes no longer when many others are there."""

    def joined(self, name: str, parts: tuple[str, ...], told: Mapping[int, str]) -> Blob:
        """The parts put together, once they all came; `told` is by number what the client heard of them (`ETag`).

        Refused with 400 when some did not, or are too small to be put together.
        """
