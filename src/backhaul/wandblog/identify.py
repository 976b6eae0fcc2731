"""What a file is, by its bytes, for those that are named like a W&B log and are not one."""

from __future__ import annotations

from backhaul.wandblog.framing import FILE_HEADER

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\x1f\x8b", "gzip-compressed data"),
    (b"PK\x03\x04", "a zip archive"),
    (b"version https://git-lfs", "a git-LFS pointer (the content was never downloaded: `git lfs pull`)"),
    (b"\x89PNG", "a PNG picture"),
    (b"PAR1", "a Parquet file"),
    (b"\x28\xb5\x2f\xfd", "zstandard-compressed data"),
)


def is_log_header(head: bytes) -> bool:
    """Whether `head`, the first bytes of a file, starts a W&B log of any version (the seventh byte is the version)."""
    return head[:6] == FILE_HEADER[:6]


def describe(head: bytes) -> str:
    """What a file that starts with `head` is, as a phrase for a message: "an SQLite database"."""
    for signature, phrase in _SIGNATURES:
        if head.startswith(signature):
            return phrase
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "an HTML page (an error or login page, saved in place of the file?)"
    if text.startswith((b"{", b"[")):
        return "JSON text"
    if head.strip(b"\x00") == b"":
        return "a file of zero bytes (preallocated space, or a disk that lost its content)"
    return "unknown content, it starts with " + head[:8].hex(" ")
