"""Digests of files that were read already: a run that is followed does not read each of them at every pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from backhaul.runs.payloads import Digest, Payload, digest_of
from backhaul.sync.progress import LogStamp


@dataclass(slots=True)
class Digests:
    """Remembers the digest of each file for as long as its size and time of change stay the same."""

    _known: dict[Path, tuple[LogStamp, Digest]] = field(default_factory=dict)

    def of(self, payload: Payload) -> Digest:
        """Size and MD5 of a payload's content; raises what `digest_of` raises."""
        if payload.path is None:
            return digest_of(payload)
        try:
            stamp = LogStamp.of(payload.path)
        except OSError:
            return digest_of(payload)  # which says what is wrong
        stamped, digest = self._known.get(payload.path, (None, None))
        if digest is None or stamped != stamp:
            digest = digest_of(payload)
            self._known[payload.path] = stamp, digest
        return digest
