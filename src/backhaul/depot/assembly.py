"""Bytes that came in parts are put together.

The official engine sends files of 2 GiB and more in parts of 100 MiB, and asks again when an answer takes more than a
minute, which a large file does: the whole is read and its MD5 taken before it counts. So whoever asks while an upload
is being put together waits for that, and whoever asks afterwards hears that it is done.
"""

from __future__ import annotations

from collections.abc import Mapping

from backhaul.depot.alone import Alone
from backhaul.depot.artifact import Upload
from backhaul.depot.direct import DirectUploads
from backhaul.depot.model import Blob
from backhaul.depot.refusal import Refused
from backhaul.depot.store import Blobs, Uploads

_NAMED = 5  # of the parts that are missing


class Assembly:
    """Puts the parts of uploads together, each upload once at a time."""

    def __init__(self, uploads: Uploads, blobs: Blobs, direct: DirectUploads | None = None) -> None:
        self._uploads = uploads
        self._blobs = blobs
        self._direct = direct
        self._alone = Alone("the parts are still being put together; ask again")

    def begin(self, artifact_id: int, md5: str, parts: tuple[str, ...], expires_at: float) -> Upload:
        """The upload of those bytes; one that is under way goes on."""
        upload, needless = self._uploads.begin(artifact_id, md5, parts, expires_at)
        self._remove(needless)
        return upload

    def complete(self, artifact_id: int, upload_id: int, project_id: int, announced: Mapping[int, str]) -> None:
        """Makes the upload's bytes the project's; `announced` are the MD5s of the parts that the client sent.

        An upload that is over, or another version's, is left alone: the caller sees whether the bytes are here.
        Refused with 400 when parts are missing or other than announced, or the whole has another MD5 (which ends
        the upload), with 503 when somebody else's request is taking long over it.
        """
        with self._alone.on(upload_id):
            upload = self._uploads.get(upload_id)
            if upload is not None and upload.artifact_id == artifact_id:
                if announced.keys() != set(range(1, len(upload.parts) + 1)):
                    raise _others()
                straight = self._direct is not None and not upload.received
                blob = self._joined_there(upload, announced) if straight else self._joined(upload, announced)
                self._remove(self._uploads.finish(upload, project_id, blob))

    def upload(self, upload_id: int) -> Upload | None:
        """The upload of that number; None when there is none, or no longer."""
        return self._uploads.get(upload_id)

    def put_part(self, upload_id: int, number: int, blob: Blob) -> str | None:
        """Keeps a part; returns the name of a blob that is not needed. Refused with 404 when the upload is over."""
        return self._uploads.put_part(upload_id, number, blob)

    def addresses(self, upload: Upload) -> list[str] | None:
        """Where the parts may be PUT without passing through the depot; None when they must."""
        return self._direct.part_addresses(upload) if self._direct and not upload.received else None

    def _joined_there(self, upload: Upload, announced: Mapping[int, str]) -> Blob:
        """Of parts that came straight to the store, which tells their MD5s; that of the whole is of the bytes read."""
        assert self._direct is not None
        blob = self._direct.joined(upload, announced)
        try:
            self._check_whole(upload, blob)
        except Refused:
            self._blobs.destroy(blob.name)
            raise
        return blob

    def _joined(self, upload: Upload, announced: Mapping[int, str]) -> Blob:
        _check(upload, announced)
        names = [upload.received[number] for number in range(1, len(upload.parts) + 1)]
        return self._blobs.join(names, lambda blob: self._check_whole(upload, blob))

    def _check_whole(self, upload: Upload, blob: Blob) -> None:
        if blob.md5 != upload.md5:
            self._remove(self._uploads.end(upload.id))
            raise Refused(f"the parts together have the MD5 {blob.md5}, not {upload.md5}; the upload is over")

    def _remove(self, blobs: list[str]) -> None:
        for blob in blobs:
            self._blobs.destroy(blob)  # at once: nobody but the assembly reads parts


def _check(upload: Upload, announced: Mapping[int, str]) -> None:
    if announced != dict(enumerate(upload.parts, 1)):
        raise _others()
    missing = sorted(announced.keys() - upload.received.keys())
    if missing:
        raise Refused(
            f"{len(missing)} of {len(upload.parts)} parts have not arrived, the first of them {missing[:_NAMED]}"
        )


def _others() -> Refused:
    return Refused("completedParts are not the parts that the upload was begun with")
