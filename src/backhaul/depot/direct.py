"""Uploads that go straight to the store of the blobs, and never through the depot.

The addresses that clients get are the store's own, and name objects that are blobs from the beginning: nothing is
copied. What a client may bring there is fixed by its MD5, which the store compares; so an object that came is right,
and stays so if it comes again. Nobody tells the depot. It looks what is there, at the moments when that counts (an
artifact's files are asked for again, its parts are put together, it is committed), and gives names to what it finds:
a row that names a blob is written when the blob was seen, with its size and MD5, and not before.

What passes through the depot still: contents of no bytes, which some clients send without a length; manifests and
contents whose address is asked for without an MD5. Files of runs go another way (`run_uploads`): no client says their
MD5 before.

The names of these objects tell whose they are: `{digit}a{artifact}.{md5}`, `.{upload}` behind it for one that comes in
parts, `{digit}a{artifact}.m{manifest}.{md5}` for a manifest. The digit spreads them as that of every blob does. No
other blob has a point in its name.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from itertools import islice

from backhaul.depot.addresses import Addressed, ContentTarget, ManifestTarget
from backhaul.depot.artifact import Artifact, Upload
from backhaul.depot.manifests import LARGEST, to_hex
from backhaul.depot.model import Blob
from backhaul.depot.refusal import Refused
from backhaul.depot.store import Blobs, Keeping
from backhaul.depot.store.interface import Arrivals

_LOG = logging.getLogger("backhaul.depot")

_AT_ONCE = 1000  # objects that are named in one transaction
_OF_NOTHING = "d41d8cd98f00b204e9800998ecf8427e"


class DirectUploads:
    """Makes addresses (unless `hands_out` is False), and names what came. Safe to use from any thread."""

    def __init__(self, store: Keeping, blobs: Blobs, arrivals: Arrivals, hands_out: bool) -> None:
        self._store = store
        self._blobs = blobs
        self._arrivals = arrivals
        self.hands_out = hands_out

    def address(self, target: Addressed) -> str | None:
        """Where the target's bytes may be PUT; None when they have to pass through the depot."""
        if not self.hands_out:
            return None
        match target:
            case ContentTarget(artifact_id=artifact_id, md5=md5) if md5 != _OF_NOTHING:
                return self._arrivals.address(f"{_start(artifact_id)}{md5}", md5)
            case ManifestTarget(manifest_id=manifest_id, artifact_id=int(artifact_id), md5=str(md5)):
                return self._arrivals.address(f"{_start(artifact_id)}m{manifest_id}.{md5}", md5)
        return None

    def part_addresses(self, upload: Upload) -> list[str] | None:
        """Where the parts of an upload may be PUT; None when they have to pass through the depot."""
        return self._arrivals.part_addresses(_of_parts(upload), upload.parts) if self.hands_out else None

    def joined(self, upload: Upload, told: Mapping[int, str]) -> Blob:
        """The parts put together, as `Arrivals` does it."""
        return self._arrivals.joined(_of_parts(upload), upload.parts, told)

    def settle(self, artifact: Artifact) -> None:
        """Names all that came for a version that is not committed yet."""
        if not artifact.committed and not artifact.deleted:
            came = self._arrivals.came(_start(artifact.id))
            while some := list(islice(came, _AT_ONCE)):
                self._name(artifact, some)

    def settle_files(self, artifact: Artifact, digests: set[str]) -> bool:
        """Names those of a version's files with these MD5s that came; whether there are any."""
        if artifact.committed or artifact.deleted:
            return False
        start = _start(artifact.id)
        came = self._arrivals.among(start, {f"{start}{md5}" for md5 in digests})
        self._name(artifact, came)
        return bool(came)

    def _name(self, artifact: Artifact, came: list[Blob]) -> None:
        contents = []
        for blob in came:
            what, _, rest = blob.name.removeprefix(_start(artifact.id)).partition(".")
            if blob.md5 != (rest if what.startswith("m") else what):
                _LOG.warning("removed what is not what its address was for", extra={"facts": {"blob": blob.name}})
                self._blobs.destroy(blob.name)
            elif what.startswith("m"):
                self._settle_manifest(int(what[1:]), blob)
            else:
                contents.append(blob)
        project = artifact.collection.project.id
        for needless in self._store.artifacts.put_contents(project, contents, artifact.id) if contents else ():
            self._blobs.remove(needless)

    def _settle_manifest(self, manifest_id: int, blob: Blob) -> None:
        """Names a manifest that was waited for. One that comes too late, or is too large, is left to the sweep."""
        manifest = self._store.artifacts.manifest(manifest_id)
        if manifest is None or manifest.blob is not None or to_hex(manifest.digest) != blob.md5 or blob.size > LARGEST:
            return
        try:
            self._store.artifacts.put_manifest(manifest_id, blob)
        except Refused as error:
            if error.status != 409:  # the version was committed meanwhile
                raise


def _start(artifact_id: int) -> str:
    return f"{artifact_id % 16:x}a{artifact_id}."


def _of_parts(upload: Upload) -> str:
    return f"{_start(upload.artifact_id)}{upload.md5}.{upload.id}"
