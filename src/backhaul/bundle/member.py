"""A member: one file in a bundle, what the manifest says of it, and its head in the tar."""

from __future__ import annotations

import os
import tarfile
from dataclasses import asdict, dataclass
from typing import Any, Self

_BLOCK = 512
_MOST_NAME = 4096


@dataclass(frozen=True, slots=True)
class Member:
    """One file.

    `name` is its name in the tar, `size` its bytes, `sha256` their digest in hex, `mtime_ns` when it was changed (Unix,
    nanoseconds), `source` where it lay on the machine that packed it, `at` where it begins in the tar.
    """

    number: int
    name: str
    size: int
    sha256: str
    mtime_ns: int
    source: str
    at: int

    def as_json(self) -> dict[str, Any]:
        """The member in the manifest."""
        return asdict(self)

    @classmethod
    def of_json(cls, item: dict[str, Any]) -> Self:
        """The member that the manifest tells of. Raises KeyError, TypeError, ValueError for what is none."""
        member = cls(
            number=_whole(item["number"]),
            name=safe_name(item["name"]),
            size=_whole(item["size"]),
            sha256=str(item["sha256"]),
            mtime_ns=_time(item["mtime_ns"]),
            source=str(item["source"]),
            at=_whole(item["at"]),
        )
        member.head()
        return member

    def head(self) -> bytes:
        """What stands before the content in the tar (POSIX pax form)."""
        return tar_head(self.name, self.size, self.mtime_ns)

    @property
    def end(self) -> int:
        """The place behind it in the tar."""
        return self.at + len(self.head()) + self.size + padding(self.size)


def tar_head(name: str, size: int, mtime_ns: int) -> bytes:
    """The head of a file in a tar. Names that are not UTF-8 stay the bytes that they are."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, mtime_ns // 1_000_000_000, 0o644
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def padding(size: int) -> int:
    """How many zeros a tar has behind a content of so many bytes."""
    return -size % _BLOCK


def safe_name(name: object) -> str:
    """The name itself, if it leads to a place below the folder that it is unpacked in. Raises ValueError."""
    if not isinstance(name, str) or not 0 < len(name) <= _MOST_NAME or "\0" in name:
        raise ValueError(f"{name!r} is no name of a file")
    parts = name.split("/")
    if any(part in ("", ".", "..") or len(os.fsencode(part)) > 255 for part in parts):
        raise ValueError(f"{name!r} leads elsewhere")
    return name


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise ValueError(f"{value!r} is no number of bytes")
    return value


def _time(value: object) -> int:
    # Files may be older than 1970.
    if not isinstance(value, int) or not -(1 << 62) < value < 1 << 62:
        raise ValueError(f"{value!r} is no time")
    return value
