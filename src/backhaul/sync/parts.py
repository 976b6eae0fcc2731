"""A large file in parts: how it is cut, and what a destination has acknowledged of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backhaul.wire.message import FileSlice
from backhaul.wire.slices import open_slice

# As the official client: larger files go in parts from the beginning, of a size that at most 10,000 of them are needed.
PARTS_FROM = 2 << 30
# A smaller file goes whole, which costs nothing on a good line; when that was cut, it goes in parts.
PARTS_AFTER_A_CUT_FROM = 32 << 20
_PART_SIZE = 100 << 20
# What a further cut of a bad line costs at most; object stores take parts of 5 MiB and more.
_SMALL_PART_SIZE = 16 << 20
_MOST_PARTS = 10_000
_READ = 1 << 20


@dataclass(frozen=True, slots=True)
class PartsSent:
    """What of a file was acknowledged: in which upload of the destination, and the ETag of each part by its number."""

    upload: str
    etags: Mapping[int, str] = field(default_factory=dict)

    def after(self, upload: str, number: int, etag: str) -> PartsSent:
        """The same after one more part; of another upload nothing is known."""
        known = self.etags if upload == self.upload else {}
        return PartsSent(upload, {**known, number: etag})


def part_entry(md5: str, upload: str, number: int, etag: str) -> dict[str, Any]:
    """Part `number` of the file with the digest `md5` (base64) was acknowledged."""
    return {"what": "part", "md5": md5, "upload": upload, "number": number, "etag": etag}


def whole_entry(md5: str) -> dict[str, Any]:
    """The parts of a file were put together: they need not be remembered any more."""
    return {"what": "whole", "md5": md5}


def parts_after(parts: Mapping[str, PartsSent], entry: Mapping[str, Any]) -> dict[str, PartsSent]:
    """What is known, by MD5, after one of the entries above."""
    md5 = str(entry["md5"])
    others = {other: sent for other, sent in parts.items() if other != md5}
    if entry["what"] == "whole":
        return others
    upload = str(entry["upload"])
    known = parts.get(md5, PartsSent(upload))
    return {**others, md5: known.after(upload, int(entry["number"]), str(entry["etag"]))}


def part_size(size: int) -> int:
    """Bytes per part of a file of `size` bytes.

    16 MiB below 2 GiB; from there 100 MiB, or more in steps of 4 KiB when that makes more than 10,000 parts.
    """
    if size < PARTS_FROM:
        return _SMALL_PART_SIZE
    if size <= _PART_SIZE * _MOST_PARTS:
        return _PART_SIZE
    return (-(-size // _MOST_PARTS) + 4095) // 4096 * 4096


def slices(whole: FileSlice) -> list[FileSlice]:
    """The parts of a file, in order."""
    size = part_size(whole.length)
    return [FileSlice(whole.path, offset, min(size, whole.length - offset)) for offset in range(0, whole.length, size)]


def announced(whole: FileSlice) -> list[dict[str, Any]]:
    """The UploadPartsInput of a file: the MD5 of each part. Reads it all; raises what `open_slice` raises."""
    return [{"partNumber": number, "hexMD5": _md5(part)} for number, part in enumerate(slices(whole), start=1)]


def _md5(part: FileSlice) -> str:
    md5, left = hashlib.md5(usedforsecurity=False), part.length
    with open_slice(part) as file:
        while left and (block := file.read(min(left, _READ))):
            md5.update(block)
            left -= len(block)
    return md5.hexdigest()
