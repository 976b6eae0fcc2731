"""What stands in an artifact's manifest.

Version 1: `{"version": 1, "storagePolicy": …, "contents": {PATH: {"digest": base64 MD5, "size": bytes, "ref"?: URL,
"birthArtifactID"?: id}}}`. An entry with `ref` names bytes kept elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from backhaul.depot.artifact import Entry, Manifest
from backhaul.depot.memory import Memory
from backhaul.depot.refusal import Refused
from backhaul.depot.store import Blobs

LARGEST = 256 << 20
"""Bytes, some million entries: a manifest is read into memory as a whole."""

_REMEMBERED = 200_000  # entries
_HUGE = 1 << 60  # bytes, an exbibyte


class Manifests:
    """Reads manifests out of the blob store; a blob never changes, so that what was read is kept."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._known: Memory[str, list[Entry]] = Memory(_REMEMBERED, lambda entries: 1 + len(entries))

    def merged(self, manifests: list[Manifest]) -> bytes:
        """One manifest with the entries of all; the later ones count. Refused with 400 when one is malformed."""
        whole: dict[str, Any] = {}
        contents: dict[str, Any] = {}
        for each in manifests:
            if each.blob:
                data = self._blobs.read(each.blob)
                parse(data)
                whole = json.loads(data)
                contents |= whole["contents"]
        return json.dumps(whole | {"contents": contents}).encode()

    def entries(self, manifest: Manifest | None) -> list[Entry]:
        """The entries by name; none for a manifest whose bytes did not come. Refused with 400 when it is malformed."""
        blob = manifest.blob if manifest else None
        return [] if blob is None else self._known.get(blob, lambda: parse(self._blobs.read(blob)))


def parse(data: bytes) -> list[Entry]:
    """The entries of a manifest's bytes, by name. Refused with 400 when these are no manifest."""
    try:
        contents = json.loads(data)["contents"]
        return [_entry(name, fields) for name, fields in sorted(contents.items())]
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise Refused(f"the artifact's manifest is malformed: {error}") from error


def to_hex(digest: str) -> str:
    """A base64 digest in hexadecimal. Refused with 400 when it is no MD5."""
    try:
        data = base64.b64decode(digest, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != 16:
        raise Refused(f"{digest!r} is not the base64 of an MD5")
    return data.hex()


def _entry(name: str, fields: dict[str, Any]) -> Entry:
    size, reference = int(fields.get("size") or 0), fields.get("ref")
    if not 0 <= size < _HUGE:
        raise ValueError(f"{name!r} has {size} bytes")
    return Entry(name, None if reference else to_hex(fields["digest"]), size, str(reference) if reference else None)
