"""What nothing names any more goes: bytes that a crash, a refusal, a replacement or a deletion left.

A blob is written before the row that names it, so that a name always has its bytes. The price is that a crash between
the two leaves bytes without a name. Several processes may work on the same blobs, so that nobody knows what is under
way; but no upload takes an hour from the last of its bytes to its name. So what is older and has no name goes, once it
had none in two looks that lie a minute apart: who has just read a name that was taken away since has opened it by then.

The contents of deleted artifacts go when no other version of the project needs them. Versions that were begun and not
committed within a week are deleted. The parts of an upload go when its addresses have expired, and so does what clients
brought of runs' files, once it was looked at.
"""

from __future__ import annotations

import itertools
import logging
import string
import threading

from backhaul.depot.artifact import Stray
from backhaul.depot.manifests import Manifests
from backhaul.depot.refusal import Refused
from backhaul.depot.run_uploads import RunUploads
from backhaul.depot.store import Blobs, Keeping
from backhaul.depot.store.interface import Clock

_LOG = logging.getLogger("backhaul.depot")

ABANDONED_AFTER = 7 * 24 * 3600.0
_TICK = 30.0  # seconds between looks at what was removed
_TICKS_OF_A_SWEEP = 120
_WHOLE = (0, 2)  # ticks of a sweep that look at all blobs


class Sweep:
    """Removes what is not needed, in a thread of its own."""

    def __init__(
        self,
        store: Keeping,
        blobs: Blobs,
        manifests: Manifests,
        clock: Clock,
        run_uploads: RunUploads | None = None,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._manifests = manifests
        self._clock = clock
        self._run_uploads = run_uploads
        self._unnamed: set[str] = set()
        self._deletions = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="depot-sweep", daemon=True)

    def start(self) -> None:
        """Removes all that nothing names, at once and from time to time."""
        self._thread.start()

    def stop(self) -> None:
        """Ends; what is left goes at the next start."""
        self._stop.set()
        self._thread.join()

    def tick(self, whole: bool = False) -> None:
        """Ends expired uploads, leavings of deletions and removed blobs; if `whole`, also blobs without a name."""
        self._expire()
        deletions = self._store.artifacts.deletions
        if whole or deletions != self._deletions:
            self._forget()
            self._deletions = deletions
        self._blobs.purge()
        if whole:
            self._blobs.clear_stalled()
            unnamed = self._find_unnamed()
            self._remove(unnamed & self._unnamed)
            self._unnamed = unnamed - self._unnamed
            if self._run_uploads:
                self._run_uploads.sweep(self._stop.is_set)

    def _work(self) -> None:
        for ticks in itertools.count():
            try:
                self.tick(whole=ticks % _TICKS_OF_A_SWEEP in _WHOLE)
            except (OSError, Refused) as error:  # the disk, or what else keeps the data: the next tick tries again
                _tell(error)
            except Exception:  # noqa: BLE001 - a bug of ours, which is told; whatever it is, the sweep goes on
                _LOG.exception("failed", extra={"facts": {"thread": "depot-sweep"}})
            if self._stop.wait(_TICK):
                return

    def _find_unnamed(self) -> set[str]:
        """First what is there, then what is named: what comes in between is not taken for unnamed."""
        found: set[str] = set()
        for start in string.hexdigits[:16]:  # in pieces, so that a large store needs little memory
            there = self._blobs.settled_names(start)
            found |= there - self._store.named_blobs(start)
        return found

    def _remove(self, names: set[str]) -> None:
        for name in names:
            self._blobs.destroy(name)
        if names:
            _LOG.info("swept", extra={"facts": {"blobs": len(names)}})

    def _expire(self) -> None:
        """Ends the uploads whose addresses have expired; nobody but them reads their parts, which go at once."""
        self._remove(set(self._store.uploads.expire()))

    def _forget(self) -> None:
        """Forgets manifests and contents of versions that are deleted."""
        artifacts = self._store.artifacts
        artifacts.abandon(self._clock() - ABANDONED_AFTER)
        freed = artifacts.drop_manifests()
        for stray in artifacts.strays():
            try:
                freed += artifacts.settle(stray, self._homes(stray))
            except (OSError, Refused) as error:  # a manifest that cannot be read keeps what its own project has
                _tell(error)
        for blob in freed:
            self._blobs.remove(blob)

    def _homes(self, stray: Stray) -> dict[str, int]:
        """Which of the living versions needs which of the contents."""
        homes: dict[str, int] = {}
        for artifact_id in stray.living:
            entries = self._manifests.entries(self._store.artifacts.current_manifest(artifact_id))
            homes |= {entry.md5: artifact_id for entry in entries if entry.md5 in stray.digests}
            if len(homes) == len(stray.digests):
                break
        return homes


def _tell(error: OSError | Refused) -> None:
    _LOG.warning("sweep failed", extra={"facts": {"reason": str(error)}})
